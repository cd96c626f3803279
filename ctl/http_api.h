#pragma once

#include <cstdint>
#include <string>

#include "common/base/status.h"
#include "common/http/client_options.h"

namespace vedette::ctl {

// How the verbs about alerts reach a server: its HTTP address, or that of an Alertmanager.
struct HttpApi {
  std::string url;  // http://hub:9090; VEDETTE_URL, or http://localhost:9090.
  std::string username, password_file;
  std::string token_file;  // A bearer token.
  std::string ca_file, cert_file, key_file;
  bool insecure_skip_verify = false;
  int64_t timeout_ms = 30'000;

  void FillDefaults();

  // The body of a 2xx answer. Otherwise a Status with the server's own words.
  Result<std::string> Call(const std::string& method, const std::string& path,
                           const std::string& body = "") const;
};

std::string PercentEncoded(std::string_view text);

}  // namespace vedette::ctl
