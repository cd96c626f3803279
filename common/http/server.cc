// Listening, admitting, stopping.
#include "common/http/server.h"

#include <pthread.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "common/base/peer_network.h"
#include "common/base/strings.h"
#include "common/http/server_impl.h"
#include "common/http/session.h"
#include "common/log/log.h"
#include "common/metrics/refusals.h"

namespace vedette::http {
namespace {

Status SplitListen(const std::string& listen, std::string& host, uint16_t& port) {
  const size_t colon = listen.rfind(':');
  unsigned value = 0;
  const char* first = listen.data() + (colon == std::string::npos ? 0 : colon + 1);
  const char* last = listen.data() + listen.size();
  const auto [end, error] = std::from_chars(first, last, value);
  if (colon == std::string::npos || error != std::errc() || end != last || value > 65535) {
    return InvalidArgument(StrCat("listen address ", Quoted(listen), ": want host:port or :port"));
  }
  host = listen.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  port = uint16_t(value);
  return {};
}

}  // namespace

Status Server::Impl::Listen() {
  for (const std::string& listen : options.listen) {
    std::string host;
    uint16_t port = 0;
    VEDETTE_RETURN_IF_ERROR(SplitListen(listen, host, port));
    Error error;
    tcp::endpoint endpoint(tcp::v6(), port);
    if (!host.empty()) {
      tcp::resolver resolver(*io);
      const auto found = resolver.resolve(host, StrCat(port), tcp::resolver::passive, error);
      if (error || found.empty()) {
        return Unavailable(StrCat("listen address ", Quoted(listen), ": ", error.message()));
      }
      endpoint = found.begin()->endpoint();
    }
    auto listener = std::make_unique<Listener>(*io);
    auto& acceptor = listener->acceptor;
    acceptor.open(endpoint.protocol(), error);
    if (error && host.empty()) {  // A machine without IPv6.
      endpoint = tcp::endpoint(tcp::v4(), port);
      acceptor.open(endpoint.protocol(), error);
    }
    if (!error && host.empty() && endpoint.protocol() == tcp::v6()) {
      acceptor.set_option(asio::ip::v6_only(false), error);
    }
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) return Unavailable(StrCat("listen on ", Quoted(listen), ": ", error.message()));
    ports.push_back(acceptor.local_endpoint(error).port());
    listeners.push_back(std::move(listener));
  }
  for (auto& listener : listeners) {
    asio::post(listener->acceptor.get_executor(), [this, l = listener.get()] { Accept(*l); });
  }
  for (int i = 0; i < std::max(1, options.io_threads); ++i) {
    io_threads.emplace_back([this, i] {
      pthread_setname_np(pthread_self(), StrCat("http-io-", i).c_str());
      const auto keep = asio::make_work_guard(*io);
      io->run();
    });
  }
  return {};
}

void Server::Impl::Accept(Listener& listener) {
  listener.acceptor.async_accept(
      asio::make_strand(*io), [this, &listener](Error error, Socket socket) {
        if (stopping.load()) return;
        if (!error) {
          Admit(std::move(socket));
          return Accept(listener);
        }
        if (error == asio::error::operation_aborted) return;
        // Out of descriptors, most likely: a moment later some are free. Trying at once would spin.
        log::Warn("accept failed", {{"err", error.message()}});
        listener.retry.expires_after(std::chrono::milliseconds(100));
        listener.retry.async_wait([this, &listener](Error e) {
          if (e || stopping.load()) return;
          asio::post(listener.acceptor.get_executor(), [this, &listener] { Accept(listener); });
        });
      });
}

RateLimit::Rates Server::Impl::RatesOf(const ServerOptions& options) {
  constexpr double kBurstSeconds = 20;
  constexpr double kAllAddresses = 10;
  const auto each = double(options.max_connections_per_second);
  return {.peer_burst = kBurstSeconds * each,
          .peer_per_second = each,
          .all_burst = kAllAddresses * kBurstSeconds * each,
          .all_per_second = kAllAddresses * each};
}

void Server::Impl::Admit(Socket socket) {
  accepted.fetch_add(1, std::memory_order_relaxed);
  Error error;
  const tcp::endpoint remote = socket.remote_endpoint(error);
  if (error) return;  // Gone already.
  const std::string network = PeerNetwork(remote.data());
  const bool too_often = rate.Take(network) != RateLimit::Verdict::kGo;
  if (too_often) {
    metrics::CountRefusal(metrics::Limit::kConnectionsPerSecond);
    log::Warn("an address makes too many connections (--web.max-connections-per-second)",
              {{"address", network}, {"per_second", options.max_connections_per_second}});
    if (options.tls_context) return;
  }
  socket.set_option(tcp::no_delay(true), error);
  asio::ip::address ip = remote.address();
  if (ip.is_v6() && ip.to_v6().is_v4_mapped()) {
    ip = asio::ip::make_address_v4(asio::ip::v4_mapped, ip.to_v6());
  }
  const std::string address = ip.to_string();
  const std::string peer =
      ip.is_v6() ? StrCat("[", address, "]:", remote.port()) : StrCat(address, ":", remote.port());
  auto session = std::make_shared<Session>(*this, std::move(socket), peer, address, too_often);
  std::shared_ptr<Session> victim;
  {
    MutexLock lock(mu);
    const bool peer_full = options.max_connections_per_peer > 0 &&
                           per_peer[address] >= options.max_connections_per_peer;
    // Who comes too often is told so where there is room, and pushes nobody out.
    if (too_often && int64_t(sessions.size()) >= options.max_connections / 2) return;
    if (peer_full || int64_t(sessions.size()) >= options.max_connections) {
      for (const auto& [key, candidate] : sessions) {
        if (!candidate->waiting() || (peer_full && candidate->address() != address)) continue;
        if (victim == nullptr || candidate->waiting_since_ms() < victim->waiting_since_ms()) {
          victim = candidate;
        }
      }
      if (victim == nullptr) {
        refused.fetch_add(1, std::memory_order_relaxed);
        if (per_peer[address] == 0) per_peer.erase(address);
        return;  // The socket closes with `session`.
      }
      // Out of the books at once, so that the count is right before its strand has closed it.
      sessions.erase(victim.get());
      if (--per_peer[victim->address()] <= 0) per_peer.erase(victim->address());
    }
    sessions.emplace(session.get(), session);
    ++per_peer[address];
  }
  if (victim != nullptr) {
    evicted.fetch_add(1, std::memory_order_relaxed);
    victim->PostClose();
  }
  session->Run();
}

void Server::Impl::Leave(Session* session) {
  std::shared_ptr<Session> kept;  // Its destructor does not run under the lock.
  MutexLock lock(mu);
  auto it = sessions.find(session);
  if (it == sessions.end()) return;
  kept = std::move(it->second);
  sessions.erase(it);
  if (--per_peer[session->address()] <= 0) per_peer.erase(session->address());
}

bool Server::Impl::StartStreamThread(std::function<void()> work) {
  {
    MutexLock lock(mu);
    if (stopping.load() || stream_threads >= options.max_stream_threads) return false;
    ++stream_threads;
  }
  // Detached, and counted: Stop waits until the last has gone.
  std::thread([this, work = std::move(work)]() mutable {
    pthread_setname_np(pthread_self(), "http-stream");
    work();
    work = nullptr;  // Lets go of the session before the server may.
    MutexLock lock(mu);
    --stream_threads;
    changed.NotifyAll();
  }).detach();
  return true;
}

void Server::Impl::Stop(int64_t deadline_ms) {
  MutexLock stop_lock(stop_mu);
  if (stopped) return;
  stopped = true;
  stopping.store(true);
  for (auto& listener : listeners) {
    asio::post(listener->acceptor.get_executor(), [l = listener.get()] {
      Error ignored;
      l->acceptor.close(ignored);
      l->retry.cancel();
    });
  }
  const auto all_sessions = [this] {
    std::vector<std::shared_ptr<Session>> out;
    MutexLock lock(mu);
    for (const auto& [key, session] : sessions) out.push_back(session);
    return out;
  };
  for (const auto& session : all_sessions()) session->PostCloseIfWaiting();
  {
    const int64_t end_ms = SinceMs() + deadline_ms;
    MutexLock lock(mu);
    while (in_flight > 0) {
      const int64_t left_ms = end_ms - SinceMs();
      if (left_ms <= 0) break;
      changed.WaitFor(mu, left_ms);
    }
  }
  for (const auto& session : all_sessions()) session->PostClose();
  workers.Stop();
  {
    MutexLock lock(mu);
    while (stream_threads > 0) changed.Wait(mu);
  }
  io->stop();
  for (std::thread& thread : io_threads) thread.join();
  // The books go before the sockets' io_context does.
  std::unordered_map<Session*, std::shared_ptr<Session>> left;
  {
    MutexLock lock(mu);
    left.swap(sessions);
  }
  left.clear();
  listeners.clear();
  io.reset();
}

Server::Server(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() { Stop(1'000); }

Result<std::unique_ptr<Server>> Server::Start(ServerOptions options, Router router) {
  VEDETTE_RETURN_IF_ERROR(CheckLimits(options));
  auto impl = std::make_shared<Impl>(std::move(options), std::move(router));
  if (Status status = impl->Listen(); !status.ok()) {
    impl->Stop(0);
    return status;
  }
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

const std::vector<uint16_t>& Server::ports() const { return impl_->ports; }
void Server::Stop(int64_t deadline_ms) { impl_->Stop(deadline_ms); }

Server::Stats Server::stats() const {
  Stats stats;
  stats.accepted = impl_->accepted.load();
  stats.evicted = impl_->evicted.load();
  stats.refused = impl_->refused.load();
  stats.requests = impl_->requests.load();
  MutexLock lock(impl_->mu);
  stats.connections = int(impl_->sessions.size());
  stats.in_flight = impl_->in_flight;
  return stats;
}

}  // namespace vedette::http
