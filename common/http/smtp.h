#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/http/client_options.h"

namespace vedette::http {

// One message for a mail relay. It stands beside the HTTP client because libcurl speaks both.
struct SmtpRequest {
  std::string host;
  uint16_t port = 25;
  std::string hello = "localhost";  // How we name ourselves.
  bool implicit_tls = false;        // TLS from the first byte.
  bool start_tls = true;            // Required, when there is no implicit TLS.
  TlsClientOptions tls;
  std::string username;  // "": no authentication.
  std::string password;  // For PLAIN and LOGIN; never sent unencrypted but to this host itself.
  std::string secret;    // For CRAM-MD5, which is tried first where both are given.
  std::string identity;
  std::string from;  // Bare addresses.
  std::vector<std::string> to;
  std::string message;  // Headers and body, lines ended by CRLF.
  int64_t timeout_ms = 30'000;
};

// Hands the message over, or says why not: UNAVAILABLE (no connection, a 4xx), INVALID_ARGUMENT (a
// 5xx), UNAUTHENTICATED (the relay's certificate, or our password), DEADLINE_EXCEEDED.
Status SendMail(const SmtpRequest& request);

}  // namespace vedette::http
