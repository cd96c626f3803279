#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/config/secret.h"

namespace vedette::config {

// 0 where the file says nothing: the TLS module then takes its own default (TLS 1.2 at least).
enum class TlsVersion : uint8_t { kUnset, kTls10, kTls11, kTls12, kTls13 };

struct TlsConfig {
  std::string ca;  // PEM text; at most one of each pair is set.
  std::string ca_file;
  std::string cert;
  std::string cert_file;
  Secret key;
  std::string key_file;
  std::string server_name;
  bool insecure_skip_verify = false;
  TlsVersion min_version = TlsVersion::kUnset;
  TlsVersion max_version = TlsVersion::kUnset;

  bool operator==(const TlsConfig&) const = default;
};

struct BasicAuthConfig {
  std::string username;
  std::string username_file;
  Secret password;
  std::string password_file;

  bool operator==(const BasicAuthConfig&) const = default;
};

struct AuthorizationConfig {
  std::string type = "Bearer";
  Secret credentials;
  std::string credentials_file;

  bool operator==(const AuthorizationConfig&) const = default;
};

struct ProxyConfig {
  std::string proxy_url;
  std::string no_proxy;
  bool proxy_from_environment = false;
  std::map<std::string, std::vector<Secret>> proxy_connect_header;

  bool operator==(const ProxyConfig&) const = default;
};

struct OAuth2Config {
  std::string client_id;
  Secret client_secret;
  std::string client_secret_file;
  std::string client_certificate_key_id;
  Secret client_certificate_key;
  std::string client_certificate_key_file;
  std::string grant_type;  // "", client_credentials or urn:ietf:params:oauth:grant-type:jwt-bearer
  std::string signature_algorithm;
  std::string iss;
  std::string audience;
  std::map<std::string, std::string> claims;
  std::vector<std::string> scopes;
  std::string token_url;
  std::map<std::string, std::string> endpoint_params;
  TlsConfig tls;
  ProxyConfig proxy;

  bool operator==(const OAuth2Config&) const = default;
};

struct HttpHeaderConfig {
  std::vector<std::string> values;
  std::vector<Secret> secrets;
  std::vector<std::string> files;

  bool operator==(const HttpHeaderConfig&) const = default;
};

// How to speak HTTP to somebody: a target, a service discovery, an Alertmanager, a webhook. Files
// are absolute paths, to be read again at each use, so that a rotated secret needs no reload.
struct HttpClientConfig {
  std::optional<BasicAuthConfig> basic_auth;
  std::optional<AuthorizationConfig> authorization;  // bearer_token(_file) becomes this.
  std::optional<OAuth2Config> oauth2;
  TlsConfig tls;
  ProxyConfig proxy;
  bool follow_redirects = true;
  bool enable_http2 = true;
  std::map<std::string, HttpHeaderConfig> http_headers;

  bool operator==(const HttpClientConfig&) const = default;
};

}  // namespace vedette::config
