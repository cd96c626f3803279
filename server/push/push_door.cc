#include "server/push/push_door.h"

#include <optional>
#include <string_view>
#include <utility>

#include "common/base/strings.h"
#include "common/model/duration.h"
#include "server/push/group_path.h"
#include "server/push/push_pages.h"

namespace vedette::push {
namespace {

constexpr std::string_view kMetrics = "/metrics/";

int HttpCode(const Status& status) {
  switch (status.code()) {
    case StatusCode::kOk:
      return 200;
    case StatusCode::kInvalidArgument:
      return 400;
    case StatusCode::kResourceExhausted:
      return 429;
    default:
      return 503;
  }
}

Result<Labels> KeyOf(const http::Request& request, const std::string& prefix) {
  std::string_view path = request.raw_path;
  path.remove_prefix(prefix.size() + kMetrics.size());
  return ParseGroupPath(path);
}

Status Push(const http::Request& request, const std::string& prefix, PushStore& store,
            const PushLimits& limits, bool replace) {
  VEDETTE_ASSIGN_OR_RETURN(const Labels key, KeyOf(request, prefix));
  std::optional<int64_t> ttl_ms;
  if (request.query.Has("ttl")) {
    Result<int64_t> ttl = ParseDuration(request.query.Get("ttl"));
    if (!ttl.ok()) return InvalidArgument(StrCat("ttl: ", ttl.status().message()));
    ttl_ms = *ttl;
  }
  VEDETTE_ASSIGN_OR_RETURN(
      std::vector<MetricFamily> families,
      ReadPushBody(request.body, request.headers.Get("Content-Type"), key, limits));
  return store.Push(key, std::move(families), replace, ttl_ms);
}

}  // namespace

void AddPushRoutes(http::Router& router, const std::string& prefix, PushStore& store,
                   const PushLimits& limits, bool allow_wipe, metrics::Registry& registry) {
  metrics::Family<metrics::Counter>& requests = registry.AddCounterFamily(
      "pushgateway_http_requests_total", "Pushes and deletions of groups, by code and method.",
      {"handler", "method", "code"});
  metrics::Family<metrics::Histogram>& sizes =
      registry.AddHistogramFamily("pushgateway_http_push_size_bytes", "Size of pushes, in bytes.",
                                  {"method"}, metrics::ExponentialBuckets(64, 4, 10));
  registry.AddGaugeFn("vedette_push_groups", "Groups that were pushed and are kept.",
                      [&store] { return static_cast<double>(store.size()); });
  registry.AddCounterFn("vedette_push_groups_expired_total",
                        "Pushed groups that ended because their time to live was over.",
                        [&store] { return static_cast<double>(store.expired()); });

  const auto answer = [&requests](const http::Request& request, http::Response& response,
                                  const Status& status, int code_if_ok, std::string_view handler) {
    const int code = status.ok() ? code_if_ok : HttpCode(status);
    std::string method = request.method;
    for (char& c : method) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    requests.With({std::string(handler), method, StrCat(code)}).Increment();
    if (!status.ok()) {
      response.SetError(code, status.message());
      return;
    }
    response.status = code;
  };
  for (const auto& [method, replace] : {std::pair("PUT", true), std::pair("POST", false)}) {
    router.Handle(
        method, StrCat(prefix, kMetrics, "*rest"),
        [&store, &sizes, prefix, limits, replace, answer](const http::Request& request,
                                                          http::Response& response) {
          const Status status = Push(request, prefix, store, limits, replace);
          sizes.With({replace ? "put" : "post"}).Observe(static_cast<double>(request.body.size()));
          answer(request, response, status, store.checks_consistency() ? 200 : 202, "push");
        },
        {.form = false});
  }
  router.Handle("DELETE", StrCat(prefix, kMetrics, "*rest"),
                [&store, prefix, answer](const http::Request& request, http::Response& response) {
                  const Result<Labels> key = KeyOf(request, prefix);
                  answer(request, response, key.ok() ? store.Delete(*key) : key.status(), 202,
                         "delete");
                });
  router.Handle("GET", prefix + "/api/v1/metrics",
                [&store](const http::Request&, http::Response& response) {
                  response.SetBody("application/json", PushedJson(store.Groups()));
                });
  router.Handle("GET", prefix + "/pushed",
                [&store](const http::Request&, http::Response& response) {
                  response.SetBody("text/plain; version=0.0.4; charset=utf-8",
                                   PushedText(store.Groups()));
                });
  for (const char* method : {"PUT", "POST"}) {
    router.Handle(
        method, prefix + "/api/v1/admin/wipe",
        [&store, allow_wipe, answer](const http::Request& request, http::Response& response) {
          if (!allow_wipe) {
            response.SetError(
                403, "admin APIs are off: start the server with --web.enable-admin-api");
            return;
          }
          answer(request, response, store.Wipe(), 202, "wipe");
        });
  }
}

}  // namespace vedette::push
