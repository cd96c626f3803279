#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "common/base/status.h"
#include "common/config/http_client.h"

namespace vedette::discovery {

// A request of AWS, signed by Signature Version 4.
struct AwsSignature {
  std::string region;
  std::string service;
  std::string access_key;
  std::string secret_key;
  std::string session_token;  // Of temporary keys.
};

struct HttpCall {
  std::string method = "GET";
  std::string url;
  std::map<std::string, std::string> headers;
  std::string body;
  std::string unix_socket;  // A path: there instead of the URL's host.
  config::HttpClientConfig http;
  std::optional<AwsSignature> sign;
  int64_t timeout_ms = 10'000;
};

struct HttpAnswer {
  int status = 0;
  std::string body;
};

// How discovery speaks HTTP: connected by the composition root to common/http's client. Must come
// back by itself within the timeout. Any status is an answer. Thread-safe.
using HttpPort = std::function<Result<HttpAnswer>(const HttpCall& call)>;

}  // namespace vedette::discovery
