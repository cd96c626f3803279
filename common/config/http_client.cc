#include "common/config/http_client.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "common/config/shared_loaders.h"

namespace vedette::config {
namespace {

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

void ReadTlsVersion(const Value& value, TlsVersion& out) {
  std::string name;
  value.ReadOneOf(name, {"TLS10", "TLS11", "TLS12", "TLS13"});
  if (!name.empty()) out = static_cast<TlsVersion>(name[4] - '0' + 1);
}

void ReadProxy(Object& o, ProxyConfig& out) {
  const Value url = o["proxy_url"];
  url.Read(out.proxy_url);
  if (!out.proxy_url.empty() && out.proxy_url.find("://") == std::string::npos) {
    url.Fail("not a URL; write it as http://proxy:3128");
  }
  const Value no_proxy = o["no_proxy"];
  no_proxy.Read(out.no_proxy);
  const Value environment = o["proxy_from_environment"];
  environment.Read(out.proxy_from_environment);
  const Value headers = o["proxy_connect_header"];
  headers.EachEntry([&](const std::string& name, const Value& value) {
    value.Read(out.proxy_connect_header[name]);
  });
  if (out.proxy_from_environment && !out.proxy_url.empty()) {
    environment.Fail("cannot stand beside proxy_url; keep one of them");
  }
  if (out.proxy_from_environment && !out.no_proxy.empty()) {
    environment.Fail("cannot stand beside no_proxy; NO_PROXY of the environment is used");
  }
  if (!out.no_proxy.empty() && out.proxy_url.empty()) {
    no_proxy.Fail("needs proxy_url");
  }
  if (!out.proxy_connect_header.empty() && out.proxy_url.empty() && !out.proxy_from_environment) {
    headers.Fail("needs proxy_url or proxy_from_environment");
  }
}

void ReadOAuth2(const Value& value, OAuth2Config& out) {
  Object o(value);
  const Value client_id = o["client_id"];
  client_id.Read(out.client_id);
  const Value secret = o["client_secret"];
  secret.Read(out.client_secret);
  o["client_secret_file"].ReadPath(out.client_secret_file);
  o["client_certificate_key_id"].Read(out.client_certificate_key_id);
  o["client_certificate_key"].Read(out.client_certificate_key);
  o["client_certificate_key_file"].ReadPath(out.client_certificate_key_file);
  const Value grant = o["grant_type"];
  grant.ReadOneOf(out.grant_type,
                  {"", "client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer"});
  o["signature_algorithm"].ReadOneOf(out.signature_algorithm, {"", "RS256", "RS384", "RS512"});
  o["iss"].Read(out.iss);
  o["audience"].Read(out.audience);
  o["claims"].Read(out.claims);
  o["scopes"].Read(out.scopes);
  const Value token_url = o["token_url"];
  token_url.ReadUrl(out.token_url);
  o["endpoint_params"].Read(out.endpoint_params);
  ReadTls(o["tls_config"], out.tls);
  ReadProxy(o, out.proxy);
  o.Finish();
  if (out.grant_type.starts_with("urn:")) {
    grant.Fail("refused: Vedette does not sign its own tokens; use client_credentials with a secret");
  } else if (out.client_id.empty()) {
    client_id.Fail("is missing; OAuth2 needs it");
  }
  if (out.token_url.empty()) token_url.Fail("is missing; OAuth2 needs it");
  if (!out.client_secret.empty() && !out.client_secret_file.empty()) {
    secret.Fail("cannot stand beside client_secret_file; keep one of them");
  }
  if (!out.client_certificate_key.empty() && !out.client_certificate_key_file.empty()) {
    value.Fail("client_certificate_key and client_certificate_key_file: keep one of them");
  }
}

// What the client sets itself, and a user's header would fight with.
bool IsReservedHeader(std::string_view name) {
  static const std::set<std::string> kReserved = {"authorization",
                                                  "host",
                                                  "content-encoding",
                                                  "content-length",
                                                  "content-type",
                                                  "user-agent",
                                                  "connection",
                                                  "keep-alive",
                                                  "proxy-authenticate",
                                                  "proxy-authorization",
                                                  "www-authenticate",
                                                  "accept-encoding",
                                                  "x-prometheus-remote-write-version",
                                                  "x-prometheus-remote-read-version",
                                                  "x-prometheus-scrape-timeout-seconds",
                                                  "x-amz-date",
                                                  "x-amz-security-token",
                                                  "x-amz-content-sha256"};
  return kReserved.contains(Lower(name));
}

}  // namespace

void ReadTls(const Value& value, TlsConfig& out) {
  if (!value.present()) return;
  Object o(value);
  const Value ca = o["ca"];
  ca.Read(out.ca);
  o["ca_file"].ReadPath(out.ca_file);
  const Value cert = o["cert"];
  cert.Read(out.cert);
  o["cert_file"].ReadPath(out.cert_file);
  const Value key = o["key"];
  key.Read(out.key);
  o["key_file"].ReadPath(out.key_file);
  o["server_name"].Read(out.server_name);
  o["insecure_skip_verify"].Read(out.insecure_skip_verify);
  ReadTlsVersion(o["min_version"], out.min_version);
  const Value max = o["max_version"];
  ReadTlsVersion(max, out.max_version);
  o.Finish();
  if (!out.ca.empty() && !out.ca_file.empty()) {
    ca.Fail("cannot stand beside ca_file; keep one of them");
  }
  if (!out.cert.empty() && !out.cert_file.empty()) {
    cert.Fail("cannot stand beside cert_file; keep one of them");
  }
  if (!out.key.empty() && !out.key_file.empty()) {
    key.Fail("cannot stand beside key_file; keep one of them");
  }
  const bool has_cert = !out.cert.empty() || !out.cert_file.empty();
  const bool has_key = !out.key.empty() || !out.key_file.empty();
  if (has_cert && !has_key) value.Fail("a client certificate needs key or key_file too");
  if (has_key && !has_cert) value.Fail("a client key needs cert or cert_file too");
  if (out.min_version != TlsVersion::kUnset && out.max_version != TlsVersion::kUnset &&
      out.min_version > out.max_version) {
    max.Fail("is below min_version");
  }
}

void ReadHttpClient(Object& o, HttpClientConfig& out) {
  const Value basic = o["basic_auth"];
  if (basic.present()) {
    BasicAuthConfig& auth = out.basic_auth.emplace();
    Object b(basic);
    b["username"].Read(auth.username);
    b["username_file"].ReadPath(auth.username_file);
    b["password"].Read(auth.password);
    b["password_file"].ReadPath(auth.password_file);
    b.Finish();
    if (!auth.username.empty() && !auth.username_file.empty()) {
      basic.Fail("username and username_file: keep one of them");
    }
    if (!auth.password.empty() && !auth.password_file.empty()) {
      basic.Fail("password and password_file: keep one of them");
    }
  }

  const Value authorization = o["authorization"];
  if (authorization.present()) {
    AuthorizationConfig& auth = out.authorization.emplace();
    Object a(authorization);
    const Value type = a["type"];
    type.Read(auth.type);
    a["credentials"].Read(auth.credentials);
    a["credentials_file"].ReadPath(auth.credentials_file);
    a.Finish();
    auth.type = std::string(Trim(auth.type));
    if (auth.type.empty()) auth.type = "Bearer";
    if (Lower(auth.type) == "basic") type.Fail("cannot be basic; use basic_auth");
    if (!auth.credentials.empty() && !auth.credentials_file.empty()) {
      authorization.Fail("credentials and credentials_file: keep one of them");
    }
  }

  const Value oauth2 = o["oauth2"];
  if (oauth2.present()) ReadOAuth2(oauth2, out.oauth2.emplace());

  // The two old names for `authorization`.
  const Value bearer = o["bearer_token"];
  const Value bearer_file = o["bearer_token_file"];
  if (bearer.present() || bearer_file.present()) {
    const Value& given = bearer.present() ? bearer : bearer_file;
    if (bearer.present() && bearer_file.present()) {
      bearer.Fail("cannot stand beside bearer_token_file; keep one of them");
    }
    if (out.basic_auth || out.oauth2 || out.authorization) {
      given.Fail("cannot stand beside basic_auth, oauth2 or authorization; keep one of them");
    }
    AuthorizationConfig& auth = out.authorization.emplace();
    bearer.Read(auth.credentials);
    bearer_file.ReadPath(auth.credentials_file);
  }
  if (out.basic_auth.has_value() + out.authorization.has_value() + out.oauth2.has_value() > 1) {
    o.value().Fail("at most one of basic_auth, oauth2 and authorization can be used");
  }

  ReadTls(o["tls_config"], out.tls);
  ReadProxy(o, out.proxy);
  o["follow_redirects"].Read(out.follow_redirects);
  o["enable_http2"].Read(out.enable_http2);
  o["http_headers"].EachEntry([&](const std::string& name, const Value& value) {
    HttpHeaderConfig& header = out.http_headers[name];
    Object h(value);
    h["values"].Read(header.values);
    h["secrets"].Read(header.secrets);
    h["files"].Read(header.files);
    h.Finish();
    for (std::string& file : header.files) file = Absolute(value.context().directory, file);
    if (IsReservedHeader(name)) value.Fail("this header is set by the client itself; remove it");
  });
}

void ReadHttpClientBlock(const Value& value, HttpClientConfig& out) {
  if (!value.present()) return;
  out = HttpClientConfig();
  Object o(value);
  ReadHttpClient(o, out);
  o.Finish();
}

}  // namespace vedette::config
