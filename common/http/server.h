#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/http/limits.h"
#include "common/http/router.h"

extern "C" typedef struct ssl_ctx_st SSL_CTX;  // OpenSSL's, without its headers.

namespace vedette::http {

struct ServerOptions : Limits {
  // "127.0.0.1:9090", ":9090" (every address), "[::1]:9090"; port 0 takes a free one.
  std::vector<std::string> listen = {"127.0.0.1:0"};
  int io_threads = 2;              // Read and write; never run handlers.
  int worker_threads = 8;          // Run handlers.
  int max_stream_threads = 64;

  // Set: speak TLS. Asked at every connection, so a renewed certificate serves the next one.
  // Null from the function refuses the connection.
  std::function<std::shared_ptr<SSL_CTX>()> tls_context;

  int64_t idle_timeout_ms = 120'000;   // Between requests on a kept-alive connection.
  int64_t write_timeout_ms = 60'000;   // A client that takes nothing for so long has gone.
  int max_connections_per_peer = 256;  // By address. 0: no limit of its own.
  // The flag that bounds the bodies of routes with a limit of their own, for what refuses one.
  std::string route_body_flag;
  int64_t stream_buffer_bytes = 1 << 20;

  bool compress = true;  // gzip and zstd by Accept-Encoding, compressible types from 128 bytes on.

  // After every answer, for logs and metrics. On an I/O or worker thread: be quick.
  struct Access {
    const Request& request;
    int status;
    int64_t bytes;        // Of the body as sent; 0 for a stream.
    int64_t duration_us;  // From the whole request to the answer's hand-over.
  };
  std::function<void(const Access&)> on_access;
};

// Server answers HTTP/1.1 and 1.0, plain or TLS: Boost.Beast reads and writes on a few threads, and
// a pool of workers runs the handlers, so neither a slow handler nor a thousand half-sent requests
// keep an honest client from being read. A client that goes away cancels its request
// (Request::cancelled). Every limit of ServerOptions holds from the first byte.
//
//   Result<std::unique_ptr<Server>> server = Server::Start(options, std::move(router));
//   Use((*server)->ports()[0]);
//   (*server)->Stop(5'000);
//
// Thread-safe. The destructor stops with a short deadline.
class Server {
 public:
  // Listens and serves. UNAVAILABLE names the address that could not be taken.
  static Result<std::unique_ptr<Server>> Start(ServerOptions options, Router router);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // One a listen address, in order.
  const std::vector<uint16_t>& ports() const;

  // No new connections; idle ones close; requests being answered may finish within
  // `deadline_ms`, then they are cancelled. Returns when every handler has returned.
  void Stop(int64_t deadline_ms);

  struct Stats {
    int connections = 0;
    int64_t accepted = 0;
    int64_t evicted = 0;  // Closed to make room.
    int64_t refused = 0;  // Closed because there was none.
    int64_t requests = 0;
    int in_flight = 0;
  };
  Stats stats() const;

 private:
  struct Impl;
  explicit Server(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace vedette::http
