#include "common/http/from_config.h"

#include <string>

#include "common/config/tls_names.h"

namespace vedette::http {
namespace {

TlsClientOptions ToTls(const config::TlsConfig& from) {
  TlsClientOptions to;
  to.ca = from.ca;
  to.ca_file = from.ca_file;
  to.cert = from.cert;
  to.cert_file = from.cert_file;
  to.key = from.key.Reveal();
  to.key_file = from.key_file;
  to.server_name = from.server_name;
  to.insecure_skip_verify = from.insecure_skip_verify;
  to.min_version = config::TlsVersionName(from.min_version);
  to.max_version = config::TlsVersionName(from.max_version);
  return to;
}

}  // namespace

ClientOptions ToClientOptions(const config::HttpClientConfig& config) {
  ClientOptions options;
  options.follow_redirects = config.follow_redirects;
  options.enable_http2 = config.enable_http2;
  options.proxy_url = config.proxy.proxy_url;
  options.no_proxy = config.proxy.no_proxy;
  options.proxy_from_environment = config.proxy.proxy_from_environment;
  for (const auto& [name, values] : config.proxy.proxy_connect_header) {
    for (const config::Secret& value : values) {
      options.proxy_connect_headers.emplace_back(name, value.Reveal());
    }
  }
  if (config.basic_auth) {
    options.username = config.basic_auth->username;
    options.username_file = config.basic_auth->username_file;
    options.password = config.basic_auth->password.Reveal();
    options.password_file = config.basic_auth->password_file;
  }
  if (config.authorization) {
    options.authorization_type = config.authorization->type;
    options.credentials = config.authorization->credentials.Reveal();
    options.credentials_file = config.authorization->credentials_file;
  }
  if (config.oauth2) {
    const config::OAuth2Config& from = *config.oauth2;
    OAuth2Options& to = options.oauth2.emplace();
    to.client_id = from.client_id;
    to.client_secret = from.client_secret.Reveal();
    to.client_secret_file = from.client_secret_file;
    to.token_url = from.token_url;
    to.scopes = from.scopes;
    to.endpoint_params.assign(from.endpoint_params.begin(), from.endpoint_params.end());
    to.tls = ToTls(from.tls);
    to.proxy_url = from.proxy.proxy_url;
  }
  options.tls = ToTls(config.tls);
  for (const auto& [name, header] : config.http_headers) {
    for (const std::string& value : header.values) options.headers.emplace_back(name, value);
    for (const config::Secret& value : header.secrets) {
      options.headers.emplace_back(name, value.Reveal());
    }
    for (const std::string& file : header.files) options.header_files.emplace_back(name, file);
  }
  return options;
}

}  // namespace vedette::http
