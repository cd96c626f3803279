#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/config/http_client.h"
#include "common/config/secret.h"
#include "common/model/notification.h"

namespace vedette::notify {

// What receivers need of HTTP. The composition root puts common/http's client behind it; tests a
// function that records.
struct HttpPost {
  std::string method = "POST";
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  int64_t timeout_ms = 0;
};

struct HttpReply {
  int status = 0;
  std::string retry_after;  // The header's value.
  std::string body;
};

// Any answer is a reply; a Status is a failure to get one. Thread-safe.
using HttpClient = std::function<Result<HttpReply>(const HttpPost&)>;
using HttpClientFactory = std::function<Result<HttpClient>(const config::HttpClientConfig&)>;

// Posts and judges the answer: 2xx is success; the network, 5xx, 408 and 429 may be tried again,
// not before Retry-After (seconds, or an HTTP date against `now_ms`). `what` names the peer in
// errors, where its URL may hold a secret.
// `reply`, if given, becomes the answer where there was one.
SendOutcome PostAndJudge(const HttpClient& client, const HttpPost& post, const std::string& what,
                         int64_t now_ms, HttpReply* reply = nullptr);

// Milliseconds to wait by a Retry-After header; 0 where there is none or it cannot be read.
int64_t ParseRetryAfter(std::string_view value, int64_t now_ms);

// The secret itself, or what its file holds (white space at the ends taken off), read at each use.
Result<std::string> SecretOrFile(const config::Secret& secret, const std::string& file);

}  // namespace vedette::notify
