#include "common/http/debug_routes.h"

#include <atomic>
#include <charconv>
#include <memory>
#include <string_view>

#include "common/base/strings.h"
#include "common/log/log.h"
#include "common/profile/cpu_profile.h"

namespace vedette::http {
namespace {

constexpr int64_t kDefaultSeconds = 30;
constexpr int64_t kMostSeconds = 300;

std::string Parameter(const Request& request, std::string_view name) {
  for (const auto& [key, value] : request.params) {
    if (key == name) return value;
  }
  return "";
}

void Profile(const Request& request, Response& response) {
  int64_t seconds = kDefaultSeconds;
  if (const std::string text = Parameter(request, "seconds"); !text.empty()) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (error != std::errc() || end != text.data() + text.size() || seconds < 1 ||
        seconds > kMostSeconds) {
      return response.SetError(400, StrCat("seconds ", Quoted(text), ": want 1 to ", kMostSeconds));
    }
  }
  const auto gone = std::make_shared<std::atomic<bool>>(false);
  request.cancellation->OnCancel([gone] { *gone = true; });
  const Result<std::string> profile =
      profile::ProfileCpu(seconds * 1000, [gone] { return gone->load(); });
  request.cancellation->Forget();
  if (!profile.ok()) return response.SetError(429, profile.status().message());
  response.headers.Set("Content-Disposition", "attachment; filename=\"profile.pb.gz\"");
  response.SetBody("application/octet-stream", *profile);
}

void Level(const Request& request, Response& response) {
  if (request.method == "PUT" || request.method == "POST") {
    const Result<log::Level> level = log::ParseLevel(Parameter(request, "level"));
    if (!level.ok()) return response.SetError(400, level.status().message());
    log::SetLevel(*level);
    log::Info("another log level", {{"level", log::LevelName(*level)}, {"user", request.user}});
  }
  response.SetBody("text/plain; charset=utf-8", StrCat(log::LevelName(log::level()), "\n"));
}

}  // namespace

void AddDebugRoutes(Router& router, const std::string& prefix, std::function<bool()> allowed) {
  const auto serve = [&](void (*handler)(const Request&, Response&)) {
    return Handler([allowed, handler](const Request& request, Response& response) {
      if (allowed()) return handler(request, response);
      response.SetError(
          403,
          "for operators: give this door users (basic_auth_users in --web.config.file) or ask for "
          "client certificates; the server has --web.enable-admin-api, too");
    });
  };
  router.Handle("GET", prefix + "/debug/pprof/profile", serve(Profile));
  for (const char* method : {"GET", "PUT", "POST"}) {
    router.Handle(method, prefix + "/-/log-level", serve(Level));
  }
}

}  // namespace vedette::http
