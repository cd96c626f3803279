#include "common/http/web_protection.h"

#include <algorithm>
#include <utility>

#include "common/base/strings.h"
#include "common/config/web.h"
#include "common/http/basic_auth.h"
#include "common/http/same_origin.h"
#include "common/tls/server_context.h"

namespace vedette::http {
namespace {

std::string AuthName(config::ClientAuth auth) {
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
  return "RequireAndVerifyClientCert";
}

std::string VersionName(config::TlsVersion version, const char* otherwise) {
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
      return otherwise;
  }
  return otherwise;
}

// Questions that are too long for a URL.
constexpr std::string_view kQueries[] = {
    "/api/v1/query",       "/api/v1/query_range", "/api/v1/query_exemplars",
    "/api/v1/series",      "/api/v1/labels",      "/api/v1/format_query",
    "/api/v1/parse_query", "/api/v1/read",        "/explain",
    "/api/v1/rehearse",    "/silences/preview",
};

}  // namespace

bool IsReadOnly(std::string_view method, std::string_view path) {
  if (method == "GET" || method == "HEAD" || method == "OPTIONS") {
    return path.find("/debug/") == std::string_view::npos;
  }
  // Below whatever prefix the routes have.
  return method == "POST" && std::ranges::any_of(kQueries, [&](std::string_view query) {
           return path.ends_with(query);
         });
}

Result<WebProtection> LoadWebProtection(const std::string& web_config_file) {
  WebProtection out;
  out.decorators.push_back(SecurityHeaders(""));
  out.filters.push_back(
      SameOriginWrites({"/query", "/query_range", "/query_exemplars", "/labels", "/series",
                        "/format_query", "/parse_query", "/explain", "/api/v1/read"}));
  if (web_config_file.empty()) return out;
  VEDETTE_ASSIGN_OR_RETURN(const config::WebConfig web, config::LoadWebConfig(web_config_file));
  if (web.tls.enabled) {
    if (!web.tls.cert.empty() || !web.tls.key.empty() || !web.tls.client_ca.empty()) {
      return InvalidArgument(web_config_file +
                             ": tls_server_config: certificates inside the file are not supported; "
                             "give cert_file, key_file and client_ca_file");
    }
    tls::ServerTlsOptions options;
    options.cert_file = web.tls.cert_file;
    options.key_file = web.tls.key_file;
    options.client_auth_type = AuthName(web.tls.client_auth);
    options.client_ca_file = web.tls.client_ca_file;
    options.client_allowed_sans = web.tls.client_allowed_sans;
    options.min_version = VersionName(web.tls.min_version, "TLS12");
    options.max_version = VersionName(web.tls.max_version, "TLS13");
    options.cipher_suites = web.tls.cipher_suites;
    options.curve_preferences = web.tls.curve_preferences;
    options.prefer_server_cipher_suites = web.tls.prefer_server_cipher_suites;
    Result<std::unique_ptr<tls::ServerTls>> tls = tls::ServerTls::Create(std::move(options));
    if (!tls.ok()) return tls.status().Annotate(web_config_file);
    std::shared_ptr<tls::ServerTls> shared = *std::move(tls);
    out.tls_context = [shared] { return shared->Get(); };
  }
  if (!web.basic_auth_users.empty()) {
    BasicAuth::Users users;
    for (const auto& [name, hash] : web.basic_auth_users) users[name] = hash.Reveal();
    out.filters.push_back(BasicAuthFilter(std::make_shared<const BasicAuth>(std::move(users))));
  }
  if (!web.basic_auth_viewers.empty()) {
    out.filters.push_back([viewers = web.basic_auth_viewers](Request& request, Response& response,
                                                             const RouteOptions&) {
      if (!viewers.contains(request.user) || IsReadOnly(request.method, request.path)) return true;
      response.SetError(403, StrCat(Quoted(request.user),
                                    " is a viewer and may change nothing; an operator may"));
      return false;
    });
    out.role_of = [viewers = web.basic_auth_viewers](std::string_view user) {
      return viewers.contains(std::string(user)) ? std::string_view("viewer")
                                                 : std::string_view("operator");
    };
  }
  if (!web.headers.empty()) {
    out.decorators.push_back([headers = web.headers](const Request&, Response& response) {
      for (const auto& [name, value] : headers) response.headers.Set(name, value);
    });
  }
  return out;
}

}  // namespace vedette::http
