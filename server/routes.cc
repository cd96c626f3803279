#include "server/routes.h"

#include <memory>
#include <utility>

#include "common/base/strings.h"
#include "common/http/request.h"
#include "server/alertmanager_routes.h"
#include "server/serve.h"

namespace vedette {
namespace {

http::Handler Text(std::function<std::pair<int, std::string>()> answer) {
  return [answer = std::move(answer)](const http::Request&, http::Response& response) {
    auto [status, text] = answer();
    response.status = status;
    response.SetBody("text/plain; charset=utf-8", std::move(text));
  };
}

// One of the parser's functions as an endpoint: its text, or JSON, is "data".
ApiHandler ParserCall(std::function<Result<std::string>(std::string_view)> ask, bool is_json) {
  return [ask = std::move(ask), is_json](const api::Call& call) {
    const Result<std::string> answer = ask(call.Get("query").value_or(""));
    if (!answer.ok()) return api::BadParameter("query", answer.status());
    return api::Success([&](api::JsonWriter& json) {
      if (is_json) {
        json.Raw(*answer);
      } else {
        json.String(*answer);
      }
    });
  };
}

}  // namespace

void AddRoutes(http::Router& router, const std::string& prefix, const Doors& d) {
  const auto get = [&](std::string_view path, ApiHandler handler) {
    router.Handle("GET", prefix + "/api/v1" + std::string(path), Serve(std::move(handler)));
  };
  const auto get_post = [&](std::string_view path, ApiHandler handler) {
    router.HandleGetPost(prefix + "/api/v1" + std::string(path), Serve(std::move(handler)));
  };
  const auto post_put = [&](std::string_view path, const ApiHandler& handler) {
    router.Handle("POST", prefix + "/api/v1" + std::string(path), Serve(handler));
    router.Handle("PUT", prefix + "/api/v1" + std::string(path), Serve(handler));
  };
  using api::Call;

  get_post("/query", [d](const Call& c) { return d.query->Instant(c); });
  get_post("/query_range", [d](const Call& c) { return d.query->Range(c); });
  get_post("/explain", [d](const Call& c) { return d.running->Explain(c); });
  get("/queries", [d](const Call& c) { return d.running->List(c); });
  post_put("/queries/:id/kill", [d](const Call& c) { return d.running->Kill(c); });
  get_post("/search/metric_names", [d](const Call& c) { return d.search->MetricNames(c); });
  get_post("/search/label_names", [d](const Call& c) { return d.search->LabelNames(c); });
  get_post("/search/label_values", [d](const Call& c) { return d.search->LabelValues(c); });
  get_post("/query_exemplars",
           [d](const Call& c) { return d.series->Exemplars(c, d.selectors_of_query); });
  get_post("/format_query", ParserCall(d.format_query, false));
  get_post("/parse_query", ParserCall(d.parse_query_json, true));
  get_post("/series", [d](const Call& c) { return d.series->Series(c); });
  get_post("/labels", [d](const Call& c) { return d.series->LabelNames(c); });
  get("/label/:name/values", [d](const Call& c) { return d.series->LabelValues(c); });
  get("/metadata", [d](const Call& c) { return d.series->Metadata(c); });

  get("/targets", [d](const Call& c) { return d.targets->Targets(c); });
  get("/targets/metadata", [d](const Call& c) { return d.targets->Metadata(c); });
  get("/targets/relabel_steps", [d](const Call& c) { return d.targets->RelabelSteps(c); });
  get("/scrape_pools/config", [d](const Call& c) { return d.targets->ScrapePoolConfig(c); });
  get("/scrape_pools", [d](const Call& c) { return d.targets->ScrapePools(c); });

  get("/rules", [d](const Call& c) { return d.rules->Rules(c); });
  get("/alerts", [d](const Call& c) { return d.rules->Alerts(c); });
  get("/alertmanagers", [d](const Call& c) { return d.rules->Alertmanagers(c); });

  get("/status/buildinfo", [d](const Call& c) { return d.status->Build(c); });
  get("/status/runtimeinfo", [d](const Call& c) { return d.status->Runtime(c); });
  get("/status/flags", [d](const Call& c) { return d.status->Flags(c); });
  get("/status/config", [d](const Call& c) { return d.status->Config(c); });
  get("/status/tsdb", [d](const Call& c) { return d.status->Tsdb(c); });
  get("/status/tsdb/blocks", [d](const Call& c) { return d.status->TsdbBlocks(c); });
  get("/status/cost", [d](const Call& c) { return d.cost->Cost(c); });
  get("/status/walreplay", [d](const Call& c) { return d.status->WalReplay(c); });
  get("/status/self_metrics", [d](const Call& c) { return d.status->SelfMetrics(c); });
  router.Handle("GET", prefix + "/api/v1/features",
                [d](const http::Request& request, http::Response& response) {
                  Serve([&](const Call&) {
                    return d.status->Features(d.role_of(request.user));
                  })(request, response);
                });
  router.Handle("GET", prefix + "/api/v1/preferences",
                [d](const http::Request& request, http::Response& response) {
                  Serve([&](const Call& c) { return d.preferences->Read(c, request.user); })(
                      request, response);
                });
  router.Handle("POST", prefix + "/api/v1/preferences",
                [d](const http::Request& request, http::Response& response) {
                  Serve([&](const Call& c) { return d.preferences->Write(c, request.user); })(
                      request, response);
                });
  get("/notifications", [d](const Call& c) { return d.status->Notifications(c); });
  get("/notifications/live", [d](const Call& c) { return d.status->NotificationsLive(c); });
  get("/openapi.yaml", [d](const Call& c) { return d.status->OpenApi(c); });

  post_put("/admin/tsdb/delete_series", [d](const Call& c) { return d.admin->DeleteSeries(c); });
  post_put("/admin/tsdb/clean_tombstones",
           [d](const Call& c) { return d.admin->CleanTombstones(c); });
  post_put("/admin/tsdb/compact", [d](const Call& c) { return d.admin->Compact(c); });
  post_put("/admin/tsdb/snapshot", [d](const Call& c) { return d.admin->Snapshot(c); });

  router.Handle("POST", prefix + "/api/v1/rehearse",
                Serve([d](const Call& c) { return d.rehearse->Rehearse(c); }));
  // What a client may make the server hold: a body as it comes, a body unpacked, and what is read
  // out of it stay below 128 MiB together.
  const http::RouteOptions writes{.max_body_bytes = d.max_write_bytes};
  router.Handle("POST", prefix + "/api/v1/read",
                Serve([d](const Call& c) { return d.read->Read(c); }));
  router.Handle("POST", prefix + "/api/v1/otlp/v1/metrics",
                [d](const http::Request& request, http::Response& response) {
                  if (d.otlp == nullptr) {
                    response.SetError(404,
                                      "the OTLP receiver is off: start the server with "
                                      "--web.enable-otlp-receiver");
                    return;
                  }
                  d.written_bytes->fetch_add(request.body.size(), std::memory_order_relaxed);
                  const std::string type(request.headers.Get("Content-Type"));
                  Serve([&](const Call& c) { return d.otlp->Metrics(c, type); })(request, response);
                },
                writes);
  router.Handle("POST", prefix + "/api/v1/write",
                [d](const http::Request& request, http::Response& response) {
                  if (d.write == nullptr) {
                    response.SetError(404,
                                      "remote write receiver is off: start the server with "
                                      "--web.enable-remote-write-receiver");
                    return;
                  }
                  d.written_bytes->fetch_add(request.body.size(), std::memory_order_relaxed);
                  const std::string type(request.headers.Get("Content-Type"));
                  Serve([&](const Call& c) { return d.write->Write(c, type); })(request, response);
                },
                writes);

  AddAlertmanagerRoutes(router, prefix, *d.alertmanager);

  // Grafana's addresses, outside of /api/v1.
  const auto grafana = [&](std::string_view path, ApiHandler handler) {
    router.Handle("GET", prefix + "/api" + std::string(path), Serve(std::move(handler)));
  };
  grafana("/search", [d](const Call& c) { return d.dashboards->Search(c); });
  grafana("/dashboards/uid/:uid", [d](const Call& c) { return d.dashboards->ByUid(c); });
  router.Handle("POST", prefix + "/api/dashboards/db",
                Serve([d](const Call& c) { return d.dashboards->Save(c); }));
  router.Handle("PUT", prefix + "/api/dashboards/uid/:uid",
                Serve([d](const Call& c) { return d.dashboards->Put(c); }));
  router.Handle("DELETE", prefix + "/api/dashboards/uid/:uid",
                Serve([d](const Call& c) { return d.dashboards->Delete(c); }));
  grafana("/dashboards/uid/:uid/raw", [d](const Call& c) { return d.dashboards->Raw(c); });

  router.Handle("GET", prefix + "/federate",
                Serve([d](const Call& c) { return d.federate->Federate(c); }));
  router.Handle("GET", prefix + "/metrics",
                [d](const http::Request& request, http::Response& response) {
                  std::string type;
                  std::string text = d.own_metrics(request.headers.Get("Accept"), &type);
                  response.SetBody(type, std::move(text));
                });
  router.Handle("GET", prefix + "/version", Text([d] {
                  std::string json;
                  api::JsonWriter(&json).BeginObject().Key("version").String(d.version).EndObject();
                  return std::pair(200, json);
                }));
  router.Handle("GET", prefix + "/-/healthy", Text([d]() -> std::pair<int, std::string> {
                  const Status status = d.healthy();
                  if (status.ok()) return {200, "Vedette is healthy.\n"};
                  return {503, StrCat("Vedette is not healthy: ", status.message(), "\n")};
                }),
                {.open = true});
  router.Handle("GET", prefix + "/-/ready", Text([d]() -> std::pair<int, std::string> {
                  if (d.ready()) return {200, "Vedette is ready.\n"};
                  return {503, "Vedette is starting.\n"};
                }),
                {.open = true});
  const auto lifecycle = [&](const char* path, std::function<std::pair<int, std::string>()> act) {
    const http::Handler handler = Text([d, act = std::move(act)]() -> std::pair<int, std::string> {
      if (!d.lifecycle) {
        return {403,
                "Lifecycle API is not enabled: start the server with --web.enable-lifecycle\n"};
      }
      return act();
    });
    router.Handle("POST", prefix + path, handler);
    router.Handle("PUT", prefix + path, handler);
  };
  lifecycle("/-/reload", [d]() -> std::pair<int, std::string> {
    const Status status = d.reload();
    if (status.ok()) return {200, ""};
    return {500, StrCat("failed to reload config: ", status.message(), "\n")};
  });
  lifecycle("/-/quit", [d]() -> std::pair<int, std::string> {
    d.quit();
    return {200, "Requesting termination... Goodbye!\n"};
  });
}

}  // namespace vedette
