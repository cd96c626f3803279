#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/compress/compress.h"
#include "common/http/message.h"

namespace vedette::http {

// Tells the one who works that nobody waits for the answer any more. Thread-safe.
class Cancellation {
 public:
  bool cancelled() const { return cancelled_.load(std::memory_order_acquire); }
  // The flag itself, for engines that poll a plain atomic. Lives as long as this object.
  const std::atomic<bool>& flag() const { return cancelled_; }
  // Runs `fn` once, on the thread that cancels, or now if it has happened.
  void OnCancel(std::function<void()> fn) VEDETTE_EXCLUDES(mu_);
  // After it `fn`s no longer run; waits for none that is running.
  void Forget() VEDETTE_EXCLUDES(mu_);
  void Cancel() VEDETTE_EXCLUDES(mu_);

 private:
  std::atomic<bool> cancelled_{false};
  Mutex mu_;
  std::vector<std::function<void()>> callbacks_ VEDETTE_GUARDED_BY(mu_);
};

// One request as a handler sees it: whole, decoded, its form parameters merged.
struct Request {
  std::string method;    // "GET"
  std::string target;    // As it came: "/api/v1/query?query=up"
  std::string raw_path;  // Before '?', still escaped.
  std::string path;      // Decoded.
  Params query;          // From the target.
  Params params;         // The query's, then those of a form body.
  Params path_params;    // From the route's :name and *rest segments.
  Headers headers;
  std::string body;           // Content-Encoding already undone.
  std::string peer;           // "10.0.0.7:53122"
  std::string peer_address;   // "10.0.0.7"
  std::string user;           // Set by an authenticating filter.
  std::string tls_peer_name;  // Common name of a client certificate that was verified, or "".
  bool tls = false;
  std::shared_ptr<Cancellation> cancellation = std::make_shared<Cancellation>();

  bool cancelled() const { return cancellation->cancelled(); }
};

// Fills target-derived fields (path, query, params) of `request` from request.target, and, for a
// form body, the form's parameters. INVALID_ARGUMENT names what is wrong.
Status ParseTarget(Request& request);
Status MergeForm(Request& request);

// Where a streamed body goes. Write blocks while the client is slow (at most
// ServerOptions::stream_buffer_bytes are kept), and fails with CANCELLED once it has gone.
class BodyWriter {
 public:
  virtual ~BodyWriter() = default;
  // Bytes may wait to be sent with later ones.
  virtual Status Write(std::string_view bytes) = 0;
  // Everything written goes out now: after each line of NDJSON, each SSE event.
  virtual Status Flush() = 0;
  virtual bool cancelled() const = 0;
};

// The answer. A plain one is a status, headers and a body; a streamed one gives a function that
// writes its body piece by piece (chunked), called after the handler has returned.
//
//   response.SetBody("application/json", std::move(json));
//   response.Stream("application/x-ndjson", [data](BodyWriter& out) -> Status { ... });
struct Response {
  using Producer = std::function<Status(BodyWriter& out)>;

  int status = 200;
  Headers headers;
  std::string body;
  Producer producer;         // Set: a streamed body; `body` is ignored.
  bool own_thread = false;   // The stream lasts (SSE): it gets a thread rather than a worker.
  bool compressible = true;  // False: this body is sent as it is.

  void SetBody(std::string_view content_type, std::string text);
  // text/plain, one line.
  void SetError(int code, std::string_view message);
  void Stream(std::string_view content_type, Producer produce);
  // As Stream, for answers that last as long as the client: at most
  // ServerOptions::max_stream_threads of them at one time, then 503.
  void StreamForLong(std::string_view content_type, Producer produce);
  void Redirect(int code, std::string_view location);
};

using Handler = std::function<void(const Request& request, Response& response)>;

}  // namespace vedette::http
