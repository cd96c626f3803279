#pragma once

#include <cstdint>
#include <string>
#include <vector>

// Private to common/rpc.
namespace vedette::rpc {

// A connection that somebody has made to one of this process' gRPC servers.
struct Connection {
  int64_t id = 0;    // Never used twice while the process lives.
  std::string peer;  // As gRPC writes it, with plain brackets: "ipv6:[2001:db8::7]:40312".
  int64_t streams = 0;  // Calls that the peer has begun on it, those taken back at once included.
  int64_t messages = 0;     // That have come whole.
  std::string certificate;  // PEM; "" where it showed none.
};

// All of them, from gRPC's own books (channelz, which counts in the transport: before any service,
// role or limit of ours). About 10 us each.
std::vector<Connection> ServerConnections();

// What the kernel knows about one.
struct Traffic {
  std::string peer;             // As above.
  uint64_t socket = 0;          // Its inode: never used twice at the same time.
  uint64_t received_bytes = 0;  // Since it stands, TLS included.
};

// Of the connections to these ports of this process. A few us for each open file of the process.
std::vector<Traffic> Received(const std::vector<int>& ports);

// Ends the TCP connection to `peer`, whatever is under way on it: what it has sent and nobody has
// read is thrown away, gRPC sees the end. gRPC 1.51 has no call for that, so its socket is looked
// for among this process'. False: there is none (any more).
bool CutOff(const std::string& peer);

}  // namespace vedette::rpc
