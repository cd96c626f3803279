#include "common/http/plain_loop.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "common/http/response_reader.h"

namespace vedette::http {
namespace {

constexpr int64_t kTickMs = 1000;
// Less than most servers wait for the next request, so that it is seldom us who find it closed.
constexpr int64_t kIdleMs = 118'000;
constexpr size_t kMaxIdle = 2048;
constexpr int64_t kAddressMs = 60'000;
constexpr size_t kMaxAddresses = 100'000;
constexpr int kEvents = 64;

int64_t SteadyUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

struct Address {
  sockaddr_storage bytes{};
  socklen_t size = 0;

  std::string_view key() const { return {reinterpret_cast<const char*>(&bytes), size}; }
};

std::optional<Address> ToAddress(const std::string& host, uint16_t port) {
  Address to;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&to.bytes);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&to.bytes);
  if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    to.size = sizeof *v4;
  } else if (inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    to.size = sizeof *v6;
  } else {
    return std::nullopt;
  }
  return to;
}

// The parts of a URL of ours; views into it.
struct PlainUrl {
  std::string_view authority;  // As it stands: for the Host header and for errors.
  std::string_view host;       // Without the brackets of an IPv6 address.
  uint16_t port = 80;
  std::string_view target;  // Path and query; "" is "/".
};

// Nothing where the URL is anything but simple: libcurl knows all the rest.
std::optional<PlainUrl> ParsePlainUrl(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  if (!url.starts_with(kScheme)) return std::nullopt;
  const bool plain = std::ranges::all_of(
      url, [](char c) { return c > ' ' && c < 127 && c != '#' && c != '\\' && c != '@'; });
  // Curl would take the dots out of a path.
  if (!plain || url.find("/.") != std::string_view::npos) return std::nullopt;
  url.remove_prefix(kScheme.size());
  const size_t end = std::min(url.find_first_of("/?"), url.size());
  PlainUrl parts{.authority = url.substr(0, end), .target = url.substr(end)};
  if (parts.target.starts_with('?')) return std::nullopt;
  std::string_view rest = parts.authority;
  if (rest.starts_with('[')) {
    const size_t close = rest.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    parts.host = rest.substr(1, close - 1);
    rest.remove_prefix(close + 1);
  } else {
    const size_t colon = std::min(rest.find(':'), rest.size());
    parts.host = rest.substr(0, colon);
    rest.remove_prefix(colon);
  }
  if (parts.host.empty() || parts.host.find('%') != std::string_view::npos) return std::nullopt;
  if (!rest.empty()) {
    const char* last = rest.data() + rest.size();
    const auto [at, error] = std::from_chars(rest.data() + 1, last, parts.port);
    if (rest[0] != ':' || rest.size() < 2 || error != std::errc() || at != last ||
        parts.port == 0) {
      return std::nullopt;
    }
  }
  return parts;
}

bool PlainHeader(std::string_view name, std::string_view value) {
  return !name.empty() && name.find_first_of("\r\n: ") == std::string_view::npos &&
         value.find_first_of("\r\n") == std::string_view::npos &&
         !EqualsIgnoreCase(name, "Host") && !EqualsIgnoreCase(name, "Content-Length") &&
         !EqualsIgnoreCase(name, "Transfer-Encoding") && !EqualsIgnoreCase(name, "Connection");
}

bool Redirects(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

std::string RequestText(const PlainUrl& url, const ClientOptions& options,
                        const ClientRequest& request) {
  std::string text;
  const std::string_view path = url.target.empty() ? "/" : url.target;
  const std::string_view host =
      url.port == 80 && url.authority.ends_with(":80")
          ? url.authority.substr(0, url.authority.size() - 3)
          : url.authority;
  StrAppend(text, "GET ", path, " HTTP/1.1\r\nHost: ", host, "\r\n");
  if (!request.headers.Has("User-Agent")) {
    StrAppend(text, "User-Agent: ", options.user_agent, "\r\n");
  }
  if (!request.headers.Has("Accept")) StrAppend(text, "Accept: */*\r\n");
  if (options.accept_compressed && !request.headers.Has("Accept-Encoding")) {
    StrAppend(text, "Accept-Encoding: zstd, gzip\r\n");
  }
  for (const auto& [name, value] : options.headers) {
    if (!request.headers.Has(name)) StrAppend(text, name, ": ", value, "\r\n");
  }
  for (const auto& [name, value] : request.headers) StrAppend(text, name, ": ", value, "\r\n");
  text.append("\r\n");
  return text;
}

}  // namespace

struct PlainLoop::Impl {
  // A socket, and the exchange on it; without an order it is idle.
  struct Connection {
    int fd = -1;
    Address address;
    bool connecting = false;
    std::string request;
    size_t sent = 0;
    uint32_t watched = 0;  // What epoll tells of.
    ResponseReader reader;
    std::optional<Order> order;
    std::string host;
    int64_t started_us = 0;
    int64_t deadline_us = 0;  // Where it is in `deadlines`.
    int64_t timeout_us = 0;   // Of the whole exchange.
    int64_t idle_since_us = 0;

    ~Connection() {
      if (fd >= 0) close(fd);
    }
  };
  struct Ended {
    Order order;
    Result<ClientResponse> answer;
  };
  struct Known {
    std::string address;
    int64_t until_us = 0;
  };

  Impl(std::string name, BodyBuffers& b, Refer r)
      : buffers(b),
        refer(std::move(r)),
        epoll(epoll_create1(EPOLL_CLOEXEC)),
        wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
    (void)epoll_ctl(epoll, EPOLL_CTL_ADD, wake, &event);
    thread = std::thread([this, name = name.substr(0, 15)] {
      pthread_setname_np(pthread_self(), name.c_str());
      Loop();
    });
  }

  ~Impl() {
    {
      MutexLock lock(mu);
      stopping = true;
    }
    Wake();
    thread.join();
    close(wake);
    close(epoll);
  }

  void Wake() const {
    const uint64_t one = 1;
    (void)!write(wake, &one, sizeof one);
  }

  void Loop() VEDETTE_EXCLUDES(mu) {
    std::array<epoll_event, kEvents> events;
    std::vector<Ended> told;
    int nap_ms = 0;
    for (bool go_on = true; go_on;) {
      const int n = epoll_wait(epoll, events.data(), kEvents, nap_ms);
      go_on = Round(std::span(events).first(static_cast<size_t>(std::max(n, 0))), told, nap_ms);
      // Without the lock: they may ask for more.
      for (Ended& one : told) one.order.done(std::move(one.answer));
      told.clear();
    }
  }

  // What one wait has brought. False: the loop ends.
  bool Round(std::span<const epoll_event> events, std::vector<Ended>& told, int& nap_ms)
      VEDETTE_EXCLUDES(mu) {
    MutexLock lock(mu);
    now_us = SteadyUs();
    for (const epoll_event& event : events) {
      if (auto* c = static_cast<Connection*>(event.data.ptr)) {
        OnEvent(*c, event.events);
      } else {
        uint64_t count;
        (void)!read(wake, &count, sizeof count);
      }
    }
    dead.clear();
    Expire();
    if (now_us >= next_tick_us) {
      next_tick_us = now_us + kTickMs * 1000;
      CloseOld();
    }
    if (stopping) {
      while (!running.empty()) Fail(*running.begin()->second, Cancelled("cancelled"));
    }
    dead.clear();
    told.swap(ended);
    nap_ms = NapMs();
    wakes_us = now_us + int64_t{nap_ms} * 1000;
    return !stopping;
  }

  int NapMs() const VEDETTE_REQUIRES(mu) {
    if (deadlines.empty()) return static_cast<int>(kTickMs);
    const int64_t left_us = deadlines.begin()->first - now_us;
    return static_cast<int>(std::clamp<int64_t>(left_us / 1000 + 1, 0, kTickMs));
  }

  // Somebody else's now. Under the lock: see PlainLoop::Cancel.
  void ReferOrder(Order order) VEDETTE_REQUIRES(mu) {
    if (!stopping) return refer(std::move(order));
    ended.push_back({std::move(order), Cancelled("cancelled")});
  }

  std::optional<Address> AddressOf(const PlainUrl& url) VEDETTE_REQUIRES(mu) {
    std::string host(url.host);
    if (std::optional<Address> literal = ToAddress(host, url.port)) return literal;
    const auto it = addresses.find(host);
    if (it == addresses.end() || it->second.until_us < now_us) return std::nullopt;
    return ToAddress(it->second.address, url.port);
  }

  // Where Submit is: a request is short, and so the loop need not be woken to send it.
  void Begin(Order order) VEDETTE_REQUIRES(mu) {
    now_us = SteadyUs();
    if (stopping) return ReferOrder(std::move(order));
    const std::optional<PlainUrl> url = ParsePlainUrl(order.request.url);
    const std::optional<Address> address = url ? AddressOf(*url) : std::nullopt;
    if (!address) return ReferOrder(std::move(order));
    Connection* c = TakeIdle(*address);
    if (c == nullptr) c = Connect(*address);
    if (c == nullptr) return ReferOrder(std::move(order));
    const ClientOptions& options = *order.options;
    const int64_t timeout_ms =
        order.request.timeout_ms > 0 ? order.request.timeout_ms : options.timeout_ms;
    const int64_t limit =
        order.request.max_body_bytes > 0 ? order.request.max_body_bytes : options.max_body_bytes;
    c->request = RequestText(*url, options, order.request);
    c->sent = 0;
    c->host = url->authority;
    c->started_us = now_us;
    c->timeout_us = timeout_ms * 1000;
    c->deadline_us = now_us + (c->connecting
                                   ? std::min(timeout_ms, options.connect_timeout_ms)
                                   : timeout_ms) * 1000;
    deadlines.emplace(c->deadline_us, c);
    c->reader.Start(static_cast<size_t>(limit), buffers.Take());
    running.emplace(order.id, c);
    c->order = std::move(order);
    if (c->deadline_us < wakes_us) Wake();
    if (!c->connecting) SendRequest(*c);
  }

  Connection* TakeIdle(const Address& address) VEDETTE_REQUIRES(mu) {
    const auto it = idle.find(std::string(address.key()));
    if (it == idle.end()) return nullptr;
    Connection* c = it->second.back();
    it->second.pop_back();
    if (it->second.empty()) idle.erase(it);
    --idle_count;
    return c;
  }

  void RemoveIdle(Connection& c) VEDETTE_REQUIRES(mu) {
    const auto it = idle.find(std::string(c.address.key()));
    if (it == idle.end()) return;
    idle_count -= std::erase(it->second, &c);
    if (it->second.empty()) idle.erase(it);
  }

  Connection* Connect(const Address& address) VEDETTE_REQUIRES(mu) {
    auto c = std::make_unique<Connection>();
    c->address = address;
    c->fd = socket(address.bytes.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) return nullptr;
    const int on = 1;
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(c->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    const auto* to = reinterpret_cast<const sockaddr*>(&address.bytes);
    if (connect(c->fd, to, address.size) != 0) {
      if (errno != EINPROGRESS) return nullptr;
      c->connecting = true;
    }
    c->watched = c->connecting ? EPOLLOUT : EPOLLIN;
    epoll_event event{.events = c->watched, .data = {.ptr = c.get()}};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event) != 0) return nullptr;
    return connections.emplace(c->fd, std::move(c)).first->second.get();
  }

  void Watch(Connection& c, uint32_t events) VEDETTE_REQUIRES(mu) {
    if (c.watched == events) return;
    c.watched = events;
    epoll_event event{.events = events, .data = {.ptr = &c}};
    (void)epoll_ctl(epoll, EPOLL_CTL_MOD, c.fd, &event);
  }

  void Close(Connection& c) VEDETTE_REQUIRES(mu) {
    const auto it = connections.find(c.fd);
    (void)epoll_ctl(epoll, EPOLL_CTL_DEL, c.fd, nullptr);
    close(std::exchange(c.fd, -1));
    dead.push_back(std::move(it->second));
    connections.erase(it);
  }

  // Takes the order of a connection that is done with it, well or not.
  Order EndOrder(Connection& c) VEDETTE_REQUIRES(mu) {
    Order order = std::move(*c.order);
    c.order.reset();
    running.erase(order.id);
    deadlines.erase({c.deadline_us, &c});
    c.request = {};
    return order;
  }

  void Fail(Connection& c, Status why) VEDETTE_REQUIRES(mu) {
    ended.push_back({EndOrder(c), std::move(why)});
    buffers.Give(c.reader.TakeBody());
    Close(c);
  }

  // Somebody else tries it from the start, in the time that is left.
  void GiveUp(Connection& c) VEDETTE_REQUIRES(mu) {
    Order order = EndOrder(c);
    const int64_t left_ms = (c.started_us + c.timeout_us - now_us) / 1000;
    order.request.timeout_ms = std::max<int64_t>(left_ms, 1);
    if (const std::optional<PlainUrl> url = ParsePlainUrl(order.request.url)) {
      addresses.erase(std::string(url->host));
    }
    buffers.Give(c.reader.TakeBody());
    Close(c);
    ReferOrder(std::move(order));
  }

  void OnEvent(Connection& c, uint32_t events) VEDETTE_REQUIRES(mu) {
    if (c.fd < 0) return;  // Closed in this round.
    if (!c.order) {        // Idle: closed by the other side, or speaking unasked.
      RemoveIdle(c);
      return Close(c);
    }
    if (c.connecting) {
      int error = 0;
      socklen_t size = sizeof error;
      (void)getsockopt(c.fd, SOL_SOCKET, SO_ERROR, &error, &size);
      if (error != 0) return GiveUp(c);
      c.connecting = false;
      deadlines.erase({c.deadline_us, &c});
      c.deadline_us = c.started_us + c.timeout_us;
      deadlines.emplace(c.deadline_us, &c);
      return SendRequest(c);
    }
    if ((events & EPOLLOUT) != 0) return SendRequest(c);
    Receive(c);
  }

  void SendRequest(Connection& c) VEDETTE_REQUIRES(mu) {
    while (c.sent < c.request.size()) {
      const ssize_t n =
          send(c.fd, c.request.data() + c.sent, c.request.size() - c.sent, MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Watch(c, EPOLLOUT);
      if (n < 0) return GiveUp(c);
      c.sent += static_cast<size_t>(n);
    }
    Watch(c, EPOLLIN);
  }

  void Receive(Connection& c) VEDETTE_REQUIRES(mu) {
    while (!c.reader.done()) {
      const std::span<char> space = c.reader.Space();
      const ssize_t n = recv(c.fd, space.data(), space.size(), 0);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
      if (n < 0) return GiveUp(c);
      const Status status = n == 0 ? c.reader.Closed() : c.reader.Filled(static_cast<size_t>(n));
      if (status.code() == StatusCode::kResourceExhausted) {
        const Order& order = *c.order;
        const int64_t limit = order.request.max_body_bytes > 0 ? order.request.max_body_bytes
                                                               : order.options->max_body_bytes;
        return Fail(c, ResourceExhausted(StrCat(
                           c.host, ": the body is over the limit of ", limit, " bytes")));
      }
      if (!status.ok()) return GiveUp(c);
      // Less than there was room for: the rest is still on its way.
      if (static_cast<size_t>(n) < space.size() && !c.reader.done()) return;
    }
    if (Redirects(c.reader.status()) && c.order->options->follow_redirects) return GiveUp(c);
    Order order = EndOrder(c);
    ClientResponse response{.status = c.reader.status(),
                            .headers = c.reader.TakeHeaders(),
                            .body = c.reader.TakeBody(),
                            .final_url = order.request.url,
                            .duration_us = SteadyUs() - c.started_us};
    response.wire_bytes = static_cast<int64_t>(response.body.size());
    if (c.reader.reusable() && idle_count < kMaxIdle) {
      c.idle_since_us = now_us;
      idle[std::string(c.address.key())].push_back(&c);
      ++idle_count;
    } else {
      Close(c);
    }
    ended.push_back({std::move(order), std::move(response)});
  }

  void Expire() VEDETTE_REQUIRES(mu) {
    while (!deadlines.empty() && deadlines.begin()->first <= now_us) {
      Connection& c = *deadlines.begin()->second;
      Fail(c, DeadlineExceeded(StrCat(c.host, ": Timeout was reached")));
    }
  }

  void CloseOld() VEDETTE_REQUIRES(mu) {
    std::vector<Connection*> old;
    for (const auto& [address, list] : idle) {
      for (Connection* c : list) {
        if (now_us - c->idle_since_us > kIdleMs * 1000) old.push_back(c);
      }
    }
    for (Connection* c : old) {
      RemoveIdle(*c);
      Close(*c);
    }
  }

  BodyBuffers& buffers;
  const Refer refer;
  const int epoll;
  const int wake;

  Mutex mu;
  int64_t now_us VEDETTE_GUARDED_BY(mu) = 0;
  int64_t wakes_us VEDETTE_GUARDED_BY(mu) = 0;  // When the loop's wait ends by itself.
  int64_t next_tick_us VEDETTE_GUARDED_BY(mu) = 0;
  std::unordered_map<int, std::unique_ptr<Connection>> connections
      VEDETTE_GUARDED_BY(mu);  // By socket.
  std::unordered_map<std::string, std::vector<Connection*>> idle
      VEDETTE_GUARDED_BY(mu);  // By address.
  size_t idle_count VEDETTE_GUARDED_BY(mu) = 0;
  std::map<uint64_t, Connection*> running VEDETTE_GUARDED_BY(mu);  // By the order's id.
  std::set<std::pair<int64_t, Connection*>> deadlines VEDETTE_GUARDED_BY(mu);
  // Closed, while what the loop has just been told of may still point at it: the loop clears it.
  std::vector<std::unique_ptr<Connection>> dead VEDETTE_GUARDED_BY(mu);
  std::vector<Ended> ended VEDETTE_GUARDED_BY(mu);                          // Nobody told yet.
  std::unordered_map<std::string, Known> addresses VEDETTE_GUARDED_BY(mu);  // By host.
  bool stopping VEDETTE_GUARDED_BY(mu) = false;
  std::thread thread;
};

PlainLoop::PlainLoop(std::string name, BodyBuffers& buffers, Refer refer)
    : impl_(std::make_unique<Impl>(std::move(name), buffers, std::move(refer))) {}
PlainLoop::~PlainLoop() = default;

bool PlainLoop::Takes(const ClientOptions& options, const ClientRequest& request) {
  const bool credentials = !options.username.empty() || !options.username_file.empty() ||
                           !options.password.empty() || !options.password_file.empty() ||
                           !options.credentials.empty() || !options.credentials_file.empty() ||
                           options.oauth2 || options.sigv4;
  const auto plain = [](const auto& field) { return PlainHeader(field.first, field.second); };
  return request.method == "GET" && request.body.empty() && !credentials &&
         options.proxy_url.empty() && !options.proxy_from_environment &&
         options.unix_socket.empty() && options.resolve.empty() && !request.detailed &&
         options.header_files.empty() &&
         std::ranges::all_of(options.headers, plain) &&
         std::ranges::all_of(request.headers, plain) &&
         PlainHeader("User-Agent", options.user_agent) && ParsePlainUrl(request.url);
}

void PlainLoop::Submit(Order order) {
  MutexLock lock(impl_->mu);
  impl_->Begin(std::move(order));
  if (!impl_->ended.empty()) impl_->Wake();
}

void PlainLoop::Cancel(uint64_t id) {
  MutexLock lock(impl_->mu);
  const auto it = impl_->running.find(id);
  if (it == impl_->running.end()) return;
  impl_->Fail(*it->second, Cancelled("cancelled"));
  impl_->Wake();
}

void PlainLoop::Learn(std::string_view url, std::string_view address) {
  const std::optional<PlainUrl> parts = ParsePlainUrl(url);
  if (!parts || address.empty()) return;
  MutexLock lock(impl_->mu);
  if (impl_->addresses.size() >= kMaxAddresses) impl_->addresses.clear();
  impl_->addresses[std::string(parts->host)] = {std::string(address),
                                                SteadyUs() + kAddressMs * 1000};
}

}  // namespace vedette::http
