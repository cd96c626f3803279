#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/http/message.h"

namespace vedette::http {

// How to reach a peer: Prometheus' http_config as a plain struct (reading it from YAML is the
// configuration's business). Of each "x" and "x_file" pair at most one is set; files are read again
// at every request, so a rotated secret needs no reload.
struct TlsClientOptions {
  std::string ca, ca_file;      // PEM text or a file; neither: the system's.
  std::string cert, cert_file;  // Ours, if the peer asks.
  std::string key, key_file;
  std::string server_name;  // Checked and sent instead of the URL's host.
  bool insecure_skip_verify = false;
  std::string min_version, max_version;  // "TLS12", "TLS13" ... as Prometheus writes them, or "".
};

struct OAuth2Options {
  std::string client_id;
  std::string client_secret, client_secret_file;
  std::string token_url;
  std::vector<std::string> scopes;
  std::vector<std::pair<std::string, std::string>> endpoint_params;
  TlsClientOptions tls;
  std::string proxy_url;
};

struct SigV4Options {
  std::string region;
  std::string service = "aps";
  std::string access_key, secret_key, session_token;
};

struct ClientOptions {
  int64_t timeout_ms = 30'000;  // The whole exchange.
  int64_t connect_timeout_ms = 10'000;
  bool follow_redirects = true;  // At most ten, http and https only; credentials stay at home.
  bool enable_http2 = true;      // With TLS only.
  bool accept_compressed = true;
  bool round_robin_dns = false;  // Of several addresses, a random one for each connection.
  int64_t max_body_bytes = 64 << 20;  // Before and after decompression.
  std::string unix_socket;            // A path: talk to it instead of TCP.
  std::string resolve;                // "host:port:address": there instead of where DNS says.
  std::string user_agent = "vedette";

  std::string proxy_url;
  std::string no_proxy;
  bool proxy_from_environment = false;
  std::vector<std::pair<std::string, std::string>> proxy_connect_headers;

  std::string username, username_file;  // Basic.
  std::string password, password_file;
  std::string authorization_type;  // "Bearer" if there are credentials and no type.
  std::string credentials, credentials_file;
  std::optional<OAuth2Options> oauth2;
  std::optional<SigV4Options> sigv4;
  TlsClientOptions tls;
  std::vector<std::pair<std::string, std::string>> headers;  // On every request.
  // The same, each value in a file that is read at every request.
  std::vector<std::pair<std::string, std::string>> header_files;
};

}  // namespace vedette::http
