#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/clock.h"
#include "common/base/rate_limit.h"
#include "common/base/status.h"
#include "common/rpc/limits.h"

struct addrinfo;

// Private to common/rpc.
namespace vedette::rpc {

// Accepts the connections of a gRPC server in its place: gRPC 1.51 shakes hands with whoever comes,
// as often as he comes, and a handshake is some thousand times what an accept() costs. An address
// that makes more connections than Limits allow loses them here, before a byte of TLS.
//
//   VEDETTE_ASSIGN_OR_RETURN(auto listener, Listener::Open(addresses, limits, clock));
//   Use(listener->ports());
//   listener->Start(hand_over, refused);
//
// Thread-safe after Start().
class Listener {
 public:
  // Owns `fd`, a connection that does not block, which came in at `listening_fd`.
  using HandOver = std::function<void(int listening_fd, int fd)>;
  // A connection was closed; `why` names the flag.
  using Refused = std::function<void(const std::string& network, const std::string& why)>;

  // Takes the ports, and lets nobody in yet. "host:port", ":port" (every address), "[::1]:port";
  // port 0 takes a free one. UNAVAILABLE names the address that could not be taken.
  static Result<std::unique_ptr<Listener>> Open(const std::vector<std::string>& addresses,
                                                const Limits& limits, const Clock& clock);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // One an address, in their order.
  const std::vector<int>& ports() const { return ports_; }

  // Both are called from the listener's thread.
  void Start(HandOver hand_over, Refused refused);
  // Lets nobody in any more; the ports are free. Idempotent.
  void Stop();

 private:
  Listener(const Limits& limits, const Clock& clock);
  Status Listen(const std::string& address);
  Status ListenAtAll(addrinfo* found, bool both_families);
  void Run();
  void Accept(int listening_fd);

  const int64_t per_second_;
  RateLimit rate_;
  std::vector<int> fds_;
  std::vector<int> ports_;
  int stop_fd_ = -1;
  HandOver hand_over_;
  Refused refused_;
  std::thread thread_;
};

}  // namespace vedette::rpc
