#include "agent/web_config.h"

#include <memory>
#include <utility>

#include "common/base/strings.h"
#include "common/config/web.h"
#include "common/http/basic_auth.h"
#include "common/tls/server_context.h"

namespace vedette::agent {
namespace {

std::string_view AuthName(config::ClientAuth auth) {
  switch (auth) {
    case config::ClientAuth::kNone:
      return "NoClientCert";
    case config::ClientAuth::kRequest:
      return "RequestClientCert";
    case config::ClientAuth::kRequireAny:
      return "RequireAnyClientCert";
    case config::ClientAuth::kVerifyIfGiven:
      return "VerifyClientCertIfGiven";
    case config::ClientAuth::kRequireAndVerify:
      return "RequireAndVerifyClientCert";
  }
  return "NoClientCert";
}

}  // namespace

Status ApplyWebConfig(const std::string& path, http::ServerOptions& options, http::Router& router) {
  VEDETTE_ASSIGN_OR_RETURN(const config::WebConfig web, config::LoadWebConfig(path));
  if (web.tls.enabled) {
    const config::TlsServerConfig& c = web.tls;
    if (!c.cert.empty() || !c.key.empty() || !c.client_ca.empty()) {
      return Unimplemented(StrCat(path,
                                  ": tls_server_config takes files here (cert_file, "
                                  "key_file, client_ca_file), not inline certificates"));
    }
    tls::ServerTlsOptions o;
    o.cert_file = c.cert_file;
    o.key_file = c.key_file;
    o.client_auth_type = AuthName(c.client_auth);
    o.client_ca_file = c.client_ca_file;
    o.client_allowed_sans = c.client_allowed_sans;
    o.min_version = c.min_version == config::TlsVersion::kTls13 ? "TLS13" : "TLS12";
    o.max_version = c.max_version == config::TlsVersion::kTls12 ? "TLS12" : "TLS13";
    o.cipher_suites = c.cipher_suites;
    o.curve_preferences = c.curve_preferences;
    o.prefer_server_cipher_suites = c.prefer_server_cipher_suites;
    auto made = tls::ServerTls::Create(std::move(o));
    if (!made.ok()) return made.status().Annotate(path);
    std::shared_ptr<tls::ServerTls> context = *std::move(made);
    options.tls_context = [context] { return context->Get(); };
  }
  if (!web.basic_auth_users.empty()) {
    http::BasicAuth::Users users;
    for (const auto& [name, hash] : web.basic_auth_users) users.emplace(name, hash.Reveal());
    router.Use(http::BasicAuthFilter(std::make_shared<http::BasicAuth>(std::move(users))));
  }
  if (!web.headers.empty()) {
    router.Decorate([headers = web.headers](const http::Request&, http::Response& response) {
      for (const auto& [name, value] : headers) response.headers.Set(name, value);
    });
  }
  return {};
}

}  // namespace vedette::agent
