#include "common/http/web_protection.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "common/config/tls_names.h"
#include "common/config/web.h"
#include "common/http/basic_auth.h"
#include "common/http/request_id.h"
#include "common/http/same_origin.h"
#include "common/log/log.h"
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

// Questions that are too long for a URL, and what a reader keeps for nobody but himself.
constexpr std::string_view kQueries[] = {
    "/api/v1/query",       "/api/v1/query_range", "/api/v1/query_exemplars",
    "/api/v1/series",      "/api/v1/labels",      "/api/v1/format_query",
    "/api/v1/parse_query", "/api/v1/read",        "/explain",
    "/api/v1/rehearse",    "/silences/preview",  "/api/v1/preferences",
};

Result<std::shared_ptr<tls::ServerTls>> MakeTls(const config::TlsServerConfig& from,
                                                const std::string& file) {
  if (!from.cert.empty() || !from.key.empty() || !from.client_ca.empty()) {
    return InvalidArgument(file +
                           ": tls_server_config: certificates inside the file are not supported; "
                           "give cert_file, key_file and client_ca_file");
  }
  tls::ServerTlsOptions options;
  options.cert_file = from.cert_file;
  options.key_file = from.key_file;
  options.client_auth_type = AuthName(from.client_auth);
  options.client_ca_file = from.client_ca_file;
  options.client_allowed_sans = from.client_allowed_sans;
  options.min_version = config::TlsVersionName(from.min_version, "TLS12");
  options.max_version = config::TlsVersionName(from.max_version, "TLS13");
  options.cipher_suites = from.cipher_suites;
  options.curve_preferences = from.curve_preferences;
  options.prefer_server_cipher_suites = from.prefer_server_cipher_suites;
  Result<std::unique_ptr<tls::ServerTls>> tls = tls::ServerTls::Create(std::move(options));
  if (!tls.ok()) return tls.status().Annotate(file);
  return std::shared_ptr<tls::ServerTls>(*std::move(tls));
}

// One reading of the file.
struct Settings {
  config::WebConfig web;
  std::shared_ptr<tls::ServerTls> tls;  // Null: plain.
  Router::Filter authenticate;          // Empty: no users.

  bool KnowsItsUsers() const {
    return authenticate || (tls != nullptr &&
                            (web.tls.client_auth == config::ClientAuth::kRequireAndVerify ||
                             web.tls.client_auth == config::ClientAuth::kRequireAny));
  }

  // What did not change since `before` is kept: the passwords that were checked already (bcrypt
  // costs a tenth of a second), the certificates that were read.
  static Result<std::shared_ptr<const Settings>> Read(const std::string& file,
                                                      const Settings* before) {
    auto out = std::make_shared<Settings>();
    VEDETTE_ASSIGN_OR_RETURN(out->web, config::LoadWebConfig(file));
    const config::WebConfig& web = out->web;
    if (web.tls.enabled) {
      if (before != nullptr && before->web.tls == web.tls) {
        out->tls = before->tls;
      } else {
        VEDETTE_ASSIGN_OR_RETURN(out->tls, MakeTls(web.tls, file));
      }
    }
    if (before != nullptr && before->web.basic_auth_users == web.basic_auth_users) {
      out->authenticate = before->authenticate;
    } else if (!web.basic_auth_users.empty()) {
      BasicAuth::Users users;
      for (const auto& [name, hash] : web.basic_auth_users) users[name] = hash.Reveal();
      out->authenticate = BasicAuthFilter(std::make_shared<const BasicAuth>(std::move(users)));
    }
    return std::shared_ptr<const Settings>(std::move(out));
  }
};

// The file, and what it said when it was last right. Thread-safe.
class WebFile {
 public:
  static Result<std::shared_ptr<WebFile>> Open(const std::string& path) {
    const std::string stamp = StampOf(path);
    VEDETTE_ASSIGN_OR_RETURN(std::shared_ptr<const Settings> settings,
                             Settings::Read(path, nullptr));
    return std::shared_ptr<WebFile>(new WebFile(path, stamp, std::move(settings)));
  }

  std::shared_ptr<const Settings> Now() VEDETTE_EXCLUDES(mu_) {
    const std::string stamp = StampOf(path_);
    MutexLock lock(mu_);
    if (stamp == stamp_) return settings_;
    stamp_ = stamp;
    Result<std::shared_ptr<const Settings>> read = Settings::Read(path_, settings_.get());
    Status status = read.status();
    if (status.ok() && ((*read)->tls != nullptr) != (settings_->tls != nullptr)) {
      status = FailedPrecondition(
          StrCat(path_, ": tls_server_config comes or goes only with a restart"));
    }
    if (status.ok()) {
      settings_ = *std::move(read);
      log::Info("web configuration reread", {{"file", path_}});
    } else {
      log::Error("the web configuration is not right; the one before holds on", {{"err", status}});
    }
    return settings_;
  }

 private:
  WebFile(std::string path, std::string stamp, std::shared_ptr<const Settings> settings)
      : path_(std::move(path)), stamp_(std::move(stamp)), settings_(std::move(settings)) {}

  // Changes with every change of the file.
  static std::string StampOf(const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return "";
    return StrCat(info.st_ino, " ", info.st_size, " ", info.st_mtim.tv_sec, " ",
                  info.st_mtim.tv_nsec);
  }

  const std::string path_;
  Mutex mu_;
  std::string stamp_ VEDETTE_GUARDED_BY(mu_);
  std::shared_ptr<const Settings> settings_ VEDETTE_GUARDED_BY(mu_);
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
  out.decorators.push_back(RequestIdHeader());
  out.filters.push_back(RequestIds());
  out.filters.push_back(
      SameOriginWrites({"/query", "/query_range", "/query_exemplars", "/labels", "/series",
                        "/format_query", "/parse_query", "/explain", "/api/v1/read"}));
  out.knows_its_users = [] { return false; };
  if (web_config_file.empty()) return out;
  VEDETTE_ASSIGN_OR_RETURN(const std::shared_ptr<WebFile> file, WebFile::Open(web_config_file));
  if (file->Now()->tls != nullptr) {
    out.tls_context = [file] { return file->Now()->tls->Get(); };
  }
  out.knows_its_users = [file] { return file->Now()->KnowsItsUsers(); };
  out.filters.push_back([file](Request& request, Response& response, const RouteOptions& route) {
    const std::shared_ptr<const Settings> now = file->Now();
    if (now->authenticate && !now->authenticate(request, response, route)) return false;
    if (!now->web.basic_auth_viewers.contains(request.user) ||
        IsReadOnly(request.method, request.path)) {
      return true;
    }
    response.SetError(403, StrCat(Quoted(request.user),
                                  " is a viewer and may change nothing; an operator may"));
    return false;
  });
  out.role_of = [file](std::string_view user) {
    return file->Now()->web.basic_auth_viewers.contains(std::string(user))
               ? std::string_view("viewer")
               : std::string_view("operator");
  };
  out.decorators.push_back([file](const Request&, Response& response) {
    for (const auto& [name, value] : file->Now()->web.headers) response.headers.Set(name, value);
  });
  return out;
}

}  // namespace vedette::http
