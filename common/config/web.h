#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/config/http_client.h"
#include "common/config/secret.h"

// The file of --web.config.file: TLS, headers and passwords of our own HTTP doors.
namespace vedette::config {

enum class ClientAuth : uint8_t {
  kNone,
  kRequest,
  kRequireAny,
  kVerifyIfGiven,
  kRequireAndVerify,
};

struct TlsServerConfig {
  bool enabled = false;  // The block is there.
  std::string cert;
  std::string cert_file;
  Secret key;
  std::string key_file;
  ClientAuth client_auth = ClientAuth::kNone;
  std::string client_ca;
  std::string client_ca_file;
  std::vector<std::string> client_allowed_sans;
  TlsVersion min_version = TlsVersion::kTls12;
  TlsVersion max_version = TlsVersion::kTls13;
  std::vector<std::string> cipher_suites;  // By IANA name, as Go and Prometheus write them.
  bool prefer_server_cipher_suites = true;
  std::vector<std::string> curve_preferences;

  bool operator==(const TlsServerConfig&) const = default;
};

struct WebConfig {
  std::string file;
  TlsServerConfig tls;
  bool http2 = true;
  std::map<std::string, std::string> headers;      // Put on every answer.
  std::map<std::string, Secret> basic_auth_users;  // Name to bcrypt hash.
  // Vedette's own: those whom basic_auth_roles calls viewer. Everybody else is an operator.
  std::set<std::string> basic_auth_viewers;

  bool operator==(const WebConfig&) const = default;
};

Result<WebConfig> LoadWebConfig(const std::string& path);
Result<WebConfig> ParseWebConfig(std::string_view text, const std::string& file);

}  // namespace vedette::config
