#include "server/http_options.h"

#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "common/base/strings.h"
#include "common/log/log.h"

namespace vedette {
namespace {

std::string_view VersionName(config::TlsVersion version) {
  switch (version) {
    case config::TlsVersion::kTls10:
      return "TLS10";
    case config::TlsVersion::kTls11:
      return "TLS11";
    case config::TlsVersion::kTls12:
      return "TLS12";
    case config::TlsVersion::kTls13:
      return "TLS13";
    case config::TlsVersion::kUnset:
      return "";
  }
  return "";
}

const std::string& Known(const config::Secret& secret) {
  if (!secret.empty()) log::RegisterSecret(secret.Reveal());
  return secret.Reveal();
}

http::TlsClientOptions TlsOf(const config::TlsConfig& t) {
  return {.ca = t.ca,
          .ca_file = t.ca_file,
          .cert = t.cert,
          .cert_file = t.cert_file,
          .key = Known(t.key),
          .key_file = t.key_file,
          .server_name = t.server_name,
          .insecure_skip_verify = t.insecure_skip_verify,
          .min_version = std::string(VersionName(t.min_version)),
          .max_version = std::string(VersionName(t.max_version))};
}

}  // namespace

http::ClientOptions ClientOptionsOf(const config::HttpClientConfig& c) {
  http::ClientOptions o;
  o.follow_redirects = c.follow_redirects;
  o.enable_http2 = c.enable_http2;
  o.user_agent = "vedette";
  o.proxy_url = c.proxy.proxy_url;
  o.no_proxy = c.proxy.no_proxy;
  o.proxy_from_environment = c.proxy.proxy_from_environment;
  for (const auto& [name, values] : c.proxy.proxy_connect_header) {
    for (const config::Secret& v : values) o.proxy_connect_headers.emplace_back(name, Known(v));
  }
  if (c.basic_auth) {
    o.username = c.basic_auth->username;
    o.username_file = c.basic_auth->username_file;
    o.password = Known(c.basic_auth->password);
    o.password_file = c.basic_auth->password_file;
  }
  if (c.authorization) {
    o.authorization_type = c.authorization->type;
    o.credentials = Known(c.authorization->credentials);
    o.credentials_file = c.authorization->credentials_file;
  }
  if (c.oauth2) {
    http::OAuth2Options oauth{.client_id = c.oauth2->client_id,
                              .client_secret = Known(c.oauth2->client_secret),
                              .client_secret_file = c.oauth2->client_secret_file,
                              .token_url = c.oauth2->token_url,
                              .scopes = c.oauth2->scopes};
    oauth.endpoint_params.assign(c.oauth2->endpoint_params.begin(),
                                 c.oauth2->endpoint_params.end());
    oauth.tls = TlsOf(c.oauth2->tls);
    oauth.proxy_url = c.oauth2->proxy.proxy_url;
    o.oauth2 = std::move(oauth);
  }
  o.tls = TlsOf(c.tls);
  for (const auto& [name, header] : c.http_headers) {
    for (const std::string& v : header.values) o.headers.emplace_back(name, v);
    for (const config::Secret& v : header.secrets) o.headers.emplace_back(name, Known(v));
    for (const std::string& file : header.files) {
      std::ifstream in(file);
      const std::string text((std::istreambuf_iterator<char>(in)),
                             std::istreambuf_iterator<char>());
      log::RegisterSecret(Trim(text));
      o.headers.emplace_back(name, Trim(text));
    }
  }
  return o;
}

}  // namespace vedette
