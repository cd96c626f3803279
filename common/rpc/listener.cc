#include "common/rpc/listener.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "common/base/peer_network.h"
#include "common/base/strings.h"

namespace vedette::rpc {
namespace {

// A fleet behind one address that comes back all at once; and fleets behind many.
constexpr double kBurstSeconds = 20;
constexpr double kAllAddresses = 10;

RateLimit::Rates RatesOf(const Limits& limits) {
  const auto each = static_cast<double>(limits.max_connections_per_second);
  return {.peer_burst = kBurstSeconds * each,
          .peer_per_second = each,
          .all_burst = kAllAddresses * kBurstSeconds * each,
          .all_per_second = kAllAddresses * each};
}

Status CannotListen(const std::string& address, std::string_view why) {
  return Unavailable(StrCat("gRPC cannot listen on ", Quoted(address), ": ", why));
}

// A socket that listens there; below 0 with errno.
int ListenAt(const addrinfo& at, bool both_families) {
  const int fd = socket(at.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return fd;
  const int on = 1;
  const int off = 0;
  // Inherited by what is accepted.
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (both_families) (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (bind(fd, at.ai_addr, at.ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0) return fd;
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

}  // namespace

Listener::Listener(const Limits& limits, const Clock& clock)
    : per_second_(limits.max_connections_per_second),
      rate_(RatesOf(limits), clock),
      stop_fd_(eventfd(0, EFD_CLOEXEC)) {}

Result<std::unique_ptr<Listener>> Listener::Open(const std::vector<std::string>& addresses,
                                                 const Limits& limits, const Clock& clock) {
  std::unique_ptr<Listener> listener(new Listener(limits, clock));
  for (const std::string& address : addresses) {
    VEDETTE_RETURN_IF_ERROR(listener->Listen(address));
  }
  return listener;
}

Listener::~Listener() { Stop(); }

Status Listener::Listen(const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) return CannotListen(address, "want host:port or :port");
  std::string host = address.substr(0, colon);
  const std::string port = address.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  // Every address: as gRPC does, IPv4 through a socket of IPv6; a machine without that has the second.
  const bool every = host.empty() || host == "::" || host == "0.0.0.0";
  const std::vector<std::string> hosts =
      every ? std::vector<std::string>{"::", "0.0.0.0"} : std::vector<std::string>{host};
  std::string why;
  for (const std::string& h : hosts) {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    addrinfo* found = nullptr;
    if (const int error = getaddrinfo(h.c_str(), port.c_str(), &hints, &found); error != 0) {
      why = gai_strerror(error);
      continue;
    }
    const Status status = ListenAtAll(found, every);
    freeaddrinfo(found);
    if (status.ok()) return {};
    why = status.message();
  }
  return CannotListen(address, StrCat(why, ": is the port taken, or the address not of this machine?"));
}

// All that a name stands for, at one port.
Status Listener::ListenAtAll(addrinfo* found, bool both_families) {
  int port = 0;
  Status last;
  for (addrinfo* at = found; at != nullptr; at = at->ai_next) {
    // At the same place in both families.
    in_port_t& wanted = reinterpret_cast<sockaddr_in*>(at->ai_addr)->sin_port;
    if (port != 0) wanted = htons(static_cast<uint16_t>(port));
    const int fd = ListenAt(*at, both_families && at->ai_family == AF_INET6);
    if (fd < 0) {
      last = Unavailable(std::strerror(errno));
      if (errno == EADDRINUSE) return last;
      continue;  // "localhost" may stand for an address of IPv6 on a machine without.
    }
    fds_.push_back(fd);
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    (void)getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size);
    port = ntohs(reinterpret_cast<const sockaddr_in&>(bound).sin_port);
  }
  if (port == 0) return last;
  ports_.push_back(port);
  return {};
}

void Listener::Start(HandOver hand_over, Refused refused) {
  hand_over_ = std::move(hand_over);
  refused_ = std::move(refused);
  thread_ = std::thread([this] { Run(); });
  (void)pthread_setname_np(thread_.native_handle(), "rpc-listen");
}

void Listener::Stop() {
  if (thread_.joinable()) {
    const uint64_t one = 1;
    (void)!write(stop_fd_, &one, sizeof one);
    thread_.join();
  }
  for (const int fd : fds_) close(fd);
  fds_.clear();
  if (stop_fd_ >= 0) close(std::exchange(stop_fd_, -1));
}

void Listener::Run() {
  std::vector<pollfd> watched = {{.fd = stop_fd_, .events = POLLIN}};
  for (const int fd : fds_) watched.push_back({.fd = fd, .events = POLLIN});
  for (;;) {
    if (poll(watched.data(), watched.size(), -1) < 0 && errno != EINTR) return;
    if (watched[0].revents != 0) return;
    for (size_t i = 1; i < watched.size(); ++i) {
      if (watched[i].revents != 0) Accept(watched[i].fd);
    }
  }
}

// One: who comes at another address, or wants us to stop, is not kept waiting by a flood at this one.
void Listener::Accept(int listening_fd) {
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  const int fd = accept4(listening_fd, reinterpret_cast<sockaddr*>(&peer), &size,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    // Out of descriptors, most likely: a moment later some are free. Trying at once would spin.
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      pollfd stop{.fd = stop_fd_, .events = POLLIN};
      (void)poll(&stop, 1, 100);
    }
    return;
  }
  const std::string network = PeerNetwork(reinterpret_cast<const sockaddr*>(&peer));
  if (rate_.Take(network) == RateLimit::Verdict::kGo) return hand_over_(listening_fd, fd);
  close(fd);
  if (!refused_) return;
  refused_(network, StrCat("connections of ", network, " refused: more than ", per_second_,
                           " new ones a second of one address, or ten times as many of all "
                           "(--grpc.max-connections-per-second)"));
}

}  // namespace vedette::rpc
