#pragma once

#include <cstdint>
#include <string>
#include <vector>

// Private to common/rpc.
namespace vedette::rpc {

// A connection that somebody has made to one of this process' gRPC servers.
struct Connection {
  int64_t id = 0;    // Never used twice while the process lives.
  std::string peer;  // As gRPC writes it: "ipv4:192.0.2.7:40312", "ipv6:%5B2001:db8::7%5D:40312".
  int64_t streams = 0;  // Calls that the peer has begun on it, those taken back at once included.
};

// All of them, from gRPC's own books (channelz, which counts in the transport: before any service,
// role or limit of ours). About 10 us each.
std::vector<Connection> ServerConnections();

// What the kernel knows about one.
struct Traffic {
  std::string peer;             // As above, with plain brackets.
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
