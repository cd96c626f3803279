#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/status.h"
#include "common/http/body_buffers.h"
#include "common/http/client_options.h"
#include "common/http/message.h"

namespace vedette::http {

struct ClientRequest {
  std::string method = "GET";
  std::string url;
  Headers headers;
  std::string body;
  int64_t timeout_ms = 0;      // 0: the client's.
  int64_t max_body_bytes = 0;  // 0: the client's.
  bool detailed = false;       // Fill ClientResponse::detail.
};

// Where the time of an exchange went, all redirects together, and what was spoken.
struct ClientDetail {
  double resolve_seconds = 0;
  double connect_seconds = 0;
  double tls_seconds = 0;
  double processing_seconds = 0;  // From the request to the first byte of the answer.
  double transfer_seconds = 0;
  int redirects = 0;
  std::string http_version;  // "1.0", "1.1", "2"
};

struct ClientResponse {
  int status = 0;
  Headers headers;         // Of the last answer, after redirects.
  std::string body;        // Content-Encoding undone, by Client.
  int64_t wire_bytes = 0;  // Of the body as it came.
  std::string final_url;   // After redirects.
  int64_t duration_us = 0;
  ClientDetail detail;
};

// Client sends requests with libcurl and waits for the answers; connections are kept for the next.
// Any status is an answer; a Status is a failure to get one: UNAVAILABLE (refused, no such host,
// reset), DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED (the body limit, named), CANCELLED, UNAUTHENTICATED
// (the TLS peer), PERMISSION_DENIED (a redirect to a link-local address), INVALID_ARGUMENT (our own options, a URL that is none). Texts name the host and
// never a password, token or the query of the URL.
//
//   Client client(options);
//   Result<ClientResponse> answer = client.Do({.url = "http://10.0.0.7:9100/metrics"});
//
// Thread-safe: simultaneous calls each take a connection of their own.
class Client {
 public:
  explicit Client(ClientOptions options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // `cancelled`, if given, is looked at about every second, and at every piece that arrives.
  Result<ClientResponse> Do(const ClientRequest& request,
                            const std::atomic<bool>* cancelled = nullptr);

  const ClientOptions& options() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Undoes the Content-Encoding of an answer as MultiClient brings it, if it has one: the header goes
// too. More than `max_bytes` is RESOURCE_EXHAUSTED. `buffers`: where the decoded body's memory is
// from, and the other one's goes.
Status DecodeBody(ClientResponse& response, size_t max_bytes, BodyBuffers* buffers = nullptr);

// `url` without user, password, query and fragment: fit for an error text.
std::string SafeUrl(std::string_view url);

}  // namespace vedette::http
