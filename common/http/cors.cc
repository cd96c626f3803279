#include <re2/re2.h>

#include <memory>
#include <string>
#include <utility>

#include "common/base/strings.h"
#include "common/http/router.h"

namespace vedette::http {

Result<Router::Decorator> CorsDecorator(std::string_view origin_regex) {
  RE2::Options options;
  options.set_log_errors(false);
  auto regex = std::make_shared<const RE2>(
      re2::StringPiece(origin_regex.data(), origin_regex.size()), options);
  if (!regex->ok()) {
    return InvalidArgument(StrCat("CORS origin ", Quoted(origin_regex), ": ", regex->error()));
  }
  const bool all = origin_regex == ".*";
  return Router::Decorator([regex, all](const Request& request, Response& response) {
    const std::string_view origin = request.headers.Get("Origin");
    if (origin.empty()) return;
    response.headers.Add("Vary", "Origin");
    if (!all && !RE2::FullMatch(re2::StringPiece(origin.data(), origin.size()), *regex)) return;
    response.headers.Set("Access-Control-Allow-Origin", all ? std::string_view("*") : origin);
    response.headers.Set("Access-Control-Allow-Headers",
                         "Accept, Authorization, Content-Type, Origin");
    response.headers.Set("Access-Control-Allow-Methods", "GET, POST, OPTIONS");
    response.headers.Set("Access-Control-Expose-Headers", "Date");
  });
}

Router::Filter CorsPreflight() {
  return [](Request& request, Response& response, const RouteOptions&) {
    if (request.method != "OPTIONS") return true;
    response.status = 204;
    return false;
  };
}

Router::Decorator SecurityHeaders(std::string csp) {
  return [csp = std::move(csp)](const Request&, Response& response) {
    const auto set = [&](std::string_view name, std::string_view value) {
      if (!response.headers.Has(name)) response.headers.Set(name, value);
    };
    set("X-Content-Type-Options", "nosniff");
    set("Referrer-Policy", "no-referrer");
    set("X-Frame-Options", "DENY");
    set("Cross-Origin-Opener-Policy", "same-origin");
    if (!csp.empty()) set("Content-Security-Policy", csp);
  };
}

}  // namespace vedette::http
