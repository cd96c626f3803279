#include <cstdio>
#include <ctime>
#include <filesystem>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "common/config/url_secrets.h"
#include "common/exposition/negotiate.h"
#include "common/exposition/writer.h"
#include "common/http/debug_routes.h"
#include "common/http/limits.h"
#include "common/http/web_protection.h"
#include "common/log/log.h"
#include "server/api/http/parse_tree.h"
#include "server/metric_hooks.h"
#include "server/promql/parser/parser.h"
#include "server/promql/parser/print.h"
#include "server/promql/parsing.h"
#include "server/push/push_door.h"
#include "server/rehearse.h"
#include "server/server_parts.h"
#include "server/ui/ui.h"
#include "server/version.h"

// What is reached over HTTP: every door of the API, made of the parts that answer, and pushes.
namespace vedette {
namespace {

// "20261121T025110Z-3f2a...": the time, as Prometheus begins such names, and something of its own.
std::string SnapshotName(int64_t now_ms) {
  const time_t seconds = now_ms / 1000;
  tm utc{};
  gmtime_r(&seconds, &utc);
  char name[64];
  const size_t n = strftime(name, sizeof name, "%Y%m%dT%H%M%SZ", &utc);
  std::snprintf(name + n, sizeof name - n, "-%08x%08x", std::random_device{}(),
                std::random_device{}());
  return name;
}

}  // namespace

Status Server::Parts::OpenPushes() {
  if (!options.web_enable_push) return {};
  push::PushStore::Options pushing;
  pushing.interval_ms = [this] {
    if (options.push_interval_ms > 0) return options.push_interval_ms;
    MutexLock lock(state_mu);
    return config->global.scrape_interval_ms;
  };
  pushing.default_ttl_ms = options.push_ttl_ms;
  pushing.max_groups = static_cast<size_t>(options.push_max_groups);
  pushing.check_consistency = !options.push_disable_consistency_check;
  pushing.problem = [](const Status& why) { log::Warn("pushed metrics", {{"err", why}}); };
  VEDETTE_ASSIGN_OR_RETURN(
      pushes, push::PushStore::Open(std::move(pushing), db->key_value(), db->appender(), clock));
  pushes->Start();
  return {};
}

Status Server::Parts::OpenDoors() {
  const promql::ParserOptions parsing = promql::ParsingOf(options.query);
  const api::ParseSelector parse = promql::ParseMetricSelector;
  const auto external_labels = [this] {
    MutexLock lock(state_mu);
    return config->global.external_labels;
  };

  query_door = std::make_unique<api::QueryDoor>(*engine, clock);
  series_door =
      std::make_unique<api::SeriesDoor>(queryable(), db->metadata(), db->exemplars(), parse);
  running_door = std::make_unique<api::RunningDoor>(*engine, clock);
  search_door = std::make_unique<api::SearchDoor>(
      queryable(), db->metadata(), parse, static_cast<uint64_t>(options.web_search_max_limit));
  targets_door = std::make_unique<api::TargetsDoor>(
      *scrapes, parse, Hostname(),
      [this](const std::string& pool) -> std::optional<std::vector<config::RelabelConfig>> {
        MutexLock lock(state_mu);
        for (const config::ScrapeConfig& c : config->scrape_configs) {
          if (c.job_name == pool) return c.relabel_configs;
        }
        return std::nullopt;
      },
      [this](const std::string& pool) -> std::optional<std::string> {
        MutexLock lock(state_mu);
        for (const config::ScrapeConfig& c : config->scrape_configs) {
          if (c.job_name == pool) return config::HideUrlSecrets(config::ToYaml(*config, pool));
        }
        return std::nullopt;
      },
      [this] {
        std::map<std::string, std::string> out;
        for (const auto& [job, refused] : db->refused()) {
          if (refused.now) out[job] = refused.why;
        }
        return out;
      });
  read_door = std::make_unique<api::ReadDoor>(
      queryable(), external_labels, static_cast<uint64_t>(options.remote_read_sample_limit));
  rules_door = std::make_unique<api::RulesDoor>(
      api::RulesBackends{.groups = [this] { return RuleGroups(); },
                         .alertmanagers = [this] { return alerts->alertmanagers(); },
                         .parse = parse});
  federate_door = std::make_unique<api::FederateDoor>(queryable(), parse, options.query.lookback_ms,
                                                      external_labels, clock);
  status_door = std::make_unique<api::StatusDoor>(api::StatusBackends{
      .build = {.version = kVersion},
      .runtime = [this] { return Runtime(); },
      .flags =
          [this] {
            auto all = flags.All();
            for (auto& [name, value] : all) {
              value = config::HideUrlSecrets(value);
            }
            return all;
          },
      .config_yaml =
          [this] {
            MutexLock lock(state_mu);
            return config::HideUrlSecrets(config::ToYaml(*config));
          },
      .tsdb = [this](size_t limit) { return TsdbInfo(limit); },
      .self_metrics = [this] { return registry.Collect(); },
      .features = [this] { return options.features; },
      .max_notification_readers = static_cast<int>(options.web_max_notification_readers)});

  cost_door = std::make_unique<api::CostDoor>([this](storage::CostRequest request) {
    request.received = scrapes->Received();
    request.received.push_back({.from = storage::ReceivedBytes::From::kWriter,
                                .bytes = written_bytes.load(std::memory_order_relaxed)});
    return db->Cost(request);
  });

  const auto change = [](const Result<tsdb::ByteChange>& done) -> Result<api::AdminChange> {
    if (!done.ok()) return done.status();
    return api::AdminChange{done->bytes_before, done->bytes_after, done->series, done->samples};
  };
  admin_door = std::make_unique<api::AdminDoor>(api::AdminBackends{
      .enabled = options.web_enable_admin_api,
      .remove = [this, change](const std::vector<std::vector<Matcher>>& selectors, int64_t start,
                               int64_t end) { return change(db->Delete(selectors, start, end)); },
      .clean_tombstones = [this, change] { return change(db->CleanTombstones()); },
      .compact = [this, change] { return change(db->Compact()); },
      .snapshot = [this]() -> Result<std::string> {
        const std::string name = SnapshotName(clock.NowMs());
        const std::string folder = options.storage_path + "/snapshots";
        std::error_code none;
        std::filesystem::create_directories(folder, none);
        VEDETTE_RETURN_IF_ERROR(db->Snapshot(StrCat(folder, "/", name)));
        return name;
      },
      .parse = parse});
  if (options.web_enable_remote_write_receiver) {
    write_door = std::make_unique<api::WriteDoor>(
        remote_write->appender(), registry,
        static_cast<size_t>(options.web_max_decoded_write_bytes));
  }

  if (options.web_enable_otlp_receiver) {
    otlp_door = std::make_unique<api::OtlpDoor>(remote_write->appender(), registry);
  }

  Doors doors;
  doors.query = query_door.get();
  doors.running = running_door.get();
  doors.search = search_door.get();
  doors.series = series_door.get();
  doors.status = status_door.get();
  doors.cost = cost_door.get();
  doors.written_bytes = &written_bytes;
  doors.max_write_bytes = options.web_max_write_bytes;
  dashboards_door = std::make_unique<api::DashboardsDoor>(options.web_dashboards);
  doors.dashboards = dashboards_door.get();
  preferences_door = std::make_unique<api::PreferencesDoor>(options.storage_path + "/preferences");
  doors.preferences = preferences_door.get();
  doors.targets = targets_door.get();
  doors.rules = rules_door.get();
  alertmanager_door = std::make_unique<api::AlertmanagerDoor>(
      alerts->alerting(),
      api::AlertmanagerInfo{.version = std::string(kVersion), .start_time_ms = start_ms}, clock);
  doors.alertmanager = alertmanager_door.get();
  rehearse_door = MakeRehearseDoor({.history = db->queryable(),
                                    .alerting = alerts->alerting(),
                                    .groups = [this] { return rules->Configs(); },
                                    .evaluation_interval_ms =
                                        [this] {
                                          MutexLock lock(state_mu);
                                          return config->global.evaluation_interval_ms;
                                        },
                                    .external_labels = external_labels,
                                    .query = options.query,
                                    .external_url = external.whole},
                                   clock);
  doors.rehearse = rehearse_door.get();
  doors.federate = federate_door.get();
  doors.admin = admin_door.get();
  doors.read = read_door.get();
  doors.otlp = otlp_door.get();
  doors.write = write_door.get();
  doors.selectors_of_query =
      [parsing](std::string_view text) -> Result<std::vector<std::vector<Matcher>>> {
    VEDETTE_ASSIGN_OR_RETURN(const promql::ExprPtr expr, promql::ParseExpr(text, parsing));
    std::vector<std::vector<Matcher>> out;
    for (const promql::VectorSelector* s : promql::Selectors(*expr)) out.push_back(s->matchers);
    return out;
  };
  doors.format_query = [parsing](std::string_view text) -> Result<std::string> {
    VEDETTE_ASSIGN_OR_RETURN(const promql::ExprPtr expr, promql::ParseExpr(text, parsing));
    return promql::PrettyPrint(*expr);
  };
  doors.parse_query_json = [parsing](std::string_view text) -> Result<std::string> {
    VEDETTE_ASSIGN_OR_RETURN(const promql::ExprPtr expr, promql::ParseExpr(text, parsing));
    return api::TreeJson(*expr);
  };
  doors.lifecycle = options.web_enable_lifecycle;
  doors.reload = [this] { return Reload(); };
  doors.quit = quit;
  doors.ready = [this] { return ready.load(); };
  doors.healthy = [this]() -> Status {
    if (db->writable()) return {};
    return Unavailable(StrCat("the storage refuses writes: ", db->stats().background_error));
  };
  doors.own_metrics = [this](std::string_view accept, std::string* content_type) {
    const exposition::Negotiated format = exposition::NegotiateAccept(accept);
    const std::vector<MetricFamily> families = registry.Collect();
    const exposition::WriteOptions write{.allow_utf8 = format.allow_utf8};
    if (format.protocol == exposition::Protocol::kOpenMetrics1_0_0 ||
        format.protocol == exposition::Protocol::kOpenMetrics0_0_1) {
      *content_type = format.content_type;
      return exposition::WriteOpenMetrics(families, write);
    }
    *content_type = "text/plain; version=0.0.4; charset=utf-8";
    return exposition::WriteText(families, write);
  };
  doors.version = kVersion;

  VEDETTE_ASSIGN_OR_RETURN(http::WebProtection protection,
                           http::LoadWebProtection(options.web_config_file));
  doors.role_of = protection.role_of;
  http::Router router;
  VEDETTE_ASSIGN_OR_RETURN(http::Router::Decorator cors,
                           http::CorsDecorator(options.web_cors_origin));
  router.Decorate(std::move(cors));
  for (http::Router::Decorator& d : protection.decorators) router.Decorate(std::move(d));
  router.Use(http::CorsPreflight());
  for (http::Router::Filter& f : protection.filters) router.Use(std::move(f));
  AddRoutes(router, prefix, doors);
  http::AddDebugRoutes(
      router, prefix,
      [admin = options.web_enable_admin_api, knows_its_users = protection.knows_its_users] {
        return admin || knows_its_users();
      });
  if (pushes) {
    push::AddPushRoutes(router, prefix, *pushes, {}, options.web_enable_admin_api, registry);
  }
  ui::Register(router, prefix);

  http::ServerOptions door;
  door.listen = options.web_listen;
  door.tls_context = protection.tls_context;
  door.idle_timeout_ms = options.web_read_timeout_ms;
  static_cast<http::Limits&>(door) = options.web_limits;
  door.route_body_flag = "web.max-write-size";
  // Queries that run and queries that wait for their turn each take a worker: with these more there
  // is always one for whoever asks something quick.
  door.worker_threads = options.query.max_concurrency + options.query.max_waiting + 16;
  door.max_connections_per_peer = static_cast<int>(door.max_connections);
  door.on_access =
      [this, count = CountHttp(registry, prefix)](const http::ServerOptions::Access& access) {
        query_log.Note(access, clock.NowMs());
        LogAccess(access);
        count(access);
      };
  Result<std::unique_ptr<http::Server>> started = http::Server::Start(door, std::move(router));
  if (!started.ok()) return started.status().Annotate("--web.listen-address");
  http = *std::move(started);
  for (const std::string& address : options.web_listen) {
    log::Info("listening", {{"door", "http"}, {"address", address}});
  }
  return {};
}

}  // namespace vedette
