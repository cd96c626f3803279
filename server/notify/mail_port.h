#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/config/http_client.h"
#include "common/model/notification.h"

namespace vedette::notify {

// What the email receiver needs of SMTP. The composition root puts common/http's client behind it.
struct Mail {
  std::string host;
  uint16_t port = 25;
  std::string hello;          // How we name ourselves.
  bool implicit_tls = false;  // TLS from the first byte (port 465).
  bool start_tls = true;      // Required, when there is no implicit TLS.
  config::TlsConfig tls;
  std::string username;  // "": no authentication.
  std::string password;  // For PLAIN and LOGIN.
  std::string secret;    // For CRAM-MD5.
  std::string identity;
  std::string from;             // A bare address.
  std::vector<std::string> to;  // Likewise.
  std::string message;          // Headers and body, lines ended by CRLF.
  int64_t timeout_ms = 0;
};

// Thread-safe. A relay's 4xx and a network that is down may be tried again; a 5xx may not.
using MailClient = std::function<SendOutcome(const Mail&)>;

}  // namespace vedette::notify
