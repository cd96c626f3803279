#pragma once

#include <utility>  // Asio of Boost 1.74 forgets it under g++ 12.

#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/rate_limit.h"
#include "common/http/server.h"
#include "common/http/worker_pool.h"

// What the files of the server share: Server::Impl, which owns listeners, threads and connections.
namespace vedette::http {

namespace asio = boost::asio;
namespace beast_http = boost::beast::http;
using asio::ip::tcp;
using Error = boost::system::error_code;
using Strand = asio::strand<asio::io_context::executor_type>;
using Socket = asio::basic_stream_socket<tcp, Strand>;
using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, Strand>;
using Clock = std::chrono::steady_clock;

inline int64_t SinceMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now().time_since_epoch())
      .count();
}

struct Server::Impl : std::enable_shared_from_this<Impl> {
  class Session;
  class StreamWriter;
  struct Listener;

  Impl(ServerOptions o, Router r)
      : options(std::move(o)),
        router(std::move(r)),
        rate(RatesOf(options), SystemClock()),
        io(std::make_unique<asio::io_context>(options.io_threads)),
        workers("http-work", options.worker_threads, size_t(options.max_queued_requests)) {}

  static RateLimit::Rates RatesOf(const ServerOptions& options);
  Status Listen();
  void Accept(Listener& listener);
  void Admit(Socket socket);
  void Leave(Session* session);
  void Stop(int64_t deadline_ms);

  void BeginRequest() {
    requests.fetch_add(1, std::memory_order_relaxed);
    MutexLock lock(mu);
    ++in_flight;
  }
  void EndRequest() {
    MutexLock lock(mu);
    if (--in_flight == 0) changed.NotifyAll();
  }
  // A thread for one long stream; false if there are too many.
  bool StartStreamThread(std::function<void()> work);

  const ServerOptions options;
  const Router router;
  RateLimit rate;
  std::unique_ptr<asio::io_context> io;
  std::vector<std::unique_ptr<Listener>> listeners;
  std::vector<uint16_t> ports;
  std::vector<std::thread> io_threads;
  WorkerPool workers;

  std::atomic<bool> stopping{false};
  std::atomic<int64_t> buffered_bytes{0};
  std::atomic<int64_t> accepted{0}, evicted{0}, refused{0}, requests{0};

  Mutex mu;
  CondVar changed;
  std::unordered_map<Session*, std::shared_ptr<Session>> sessions VEDETTE_GUARDED_BY(mu);
  std::map<std::string, int> per_peer VEDETTE_GUARDED_BY(mu);
  int in_flight VEDETTE_GUARDED_BY(mu) = 0;
  int stream_threads VEDETTE_GUARDED_BY(mu) = 0;

  Mutex stop_mu;
  bool stopped VEDETTE_GUARDED_BY(stop_mu) = false;
};

struct Server::Impl::Listener {
  explicit Listener(asio::io_context& io)
      : acceptor(asio::make_strand(io)), retry(asio::make_strand(io)) {}
  asio::basic_socket_acceptor<tcp, Strand> acceptor;
  Timer retry;
};

}  // namespace vedette::http
