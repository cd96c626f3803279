#include "server/server.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "common/config/prometheus.h"
#include "common/config/register_secrets.h"
#include "common/config/rules.h"
#include "common/config/url_secrets.h"
#include "common/exposition/negotiate.h"
#include "common/exposition/writer.h"
#include "common/http/debug_routes.h"
#include "common/http/server.h"
#include "common/http/web_protection.h"
#include "common/log/log.h"
#include "common/metrics/metrics.h"
#include "common/model/duration.h"
#include "common/rpc/server.h"
#include "common/tls/trust.h"
#include "server/alerts.h"
#include "server/api/enrol/enrol_service.h"
#include "server/api/grpc/query_service.h"
#include "server/api/http/parse_tree.h"
#include "server/backfill_watch.h"
#include "server/discovery/manager.h"
#include "server/discovery_parts.h"
#include "server/promql/engine.h"
#include "server/promql/parser/parser.h"
#include "server/promql/parser/print.h"
#include "server/rehearsal/condition.h"
#include "server/memory_limit.h"
#include "server/metric_hooks.h"
#include "server/rehearse.h"
#include "server/push/push_door.h"
#include "server/push/push_store.h"
#include "server/query_log.h"
#include "server/remote_out.h"
#include "server/routes.h"
#include "server/ruler/ruler.h"
#include "server/scrape/from_config.h"
#include "server/scrape/scrape_manager.h"
#include "server/self_metrics.h"
#include "server/sources.h"
#include "server/storage_limits.h"
#include "server/start_times/start_times.h"
#include "server/tsdb/tsdb.h"
#include "server/ui/ui.h"
#include "server/version.h"

namespace vedette {
namespace {

constexpr int64_t kDefaultRetentionMs = 15LL * 24 * 3600 * 1000;
// What requests and calls under way may still take at the end.
constexpr int64_t kStopMs = 5000;
// In the storage from the start of a run to its end.
constexpr std::string_view kRunningKey = "server/running";

std::string Hostname() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "localhost";
}

// Everything that the configuration files say, read and checked, not yet in effect.
struct Loaded {
  config::PrometheusConfig config;
  std::vector<std::shared_ptr<const scrape::Job>> jobs;
  std::map<std::string, config::DiscoveryConfig> discovery;
  ruler::RulerConfig rules;
};

Result<Loaded> Load(const std::string& file, const scrape::JobDefaults& defaults) {
  Loaded out;
  config::RegisterSecrets(file);
  VEDETTE_ASSIGN_OR_RETURN(out.config, config::LoadPrometheusConfig(file));
  for (const std::string& more : out.config.scrape_config_files) config::RegisterSecrets(more);
  for (const config::ScrapeConfig& c : out.config.scrape_configs) {
    VEDETTE_ASSIGN_OR_RETURN(std::shared_ptr<const scrape::Job> job,
                             scrape::JobFromConfig(c, defaults));
    out.jobs.push_back(std::move(job));
    out.discovery.emplace(c.job_name, c.discovery);
  }
  out.rules.evaluation_interval_ms = out.config.global.evaluation_interval_ms;
  out.rules.rule_query_offset_ms = out.config.global.rule_query_offset_ms;
  out.rules.external_labels = out.config.global.external_labels;
  for (const std::string& rule_file : out.config.rule_files) {
    VEDETTE_ASSIGN_OR_RETURN(config::RuleFileConfig rules, config::LoadRuleFile(rule_file));
    for (config::RuleGroupConfig& g : rules.groups) out.rules.groups.push_back(std::move(g));
  }
  return out;
}

scrape::JobDefaults JobDefaultsOf(const ServerOptions& options,
                                  metrics::Family<metrics::Counter>& left_out) {
  scrape::JobDefaults defaults;
  defaults.strict_openmetrics = options.strict_openmetrics;
  defaults.start_timestamps = options.start_timestamps;
  defaults.start_zero_samples = options.start_zero_samples;
  const auto limit = [](int64_t flag) { return static_cast<uint64_t>(std::max<int64_t>(flag, 0)); };
  defaults.limits.body_size_bytes = limit(options.scrape_body_size_limit);
  defaults.limits.samples = limit(options.scrape_sample_limit);
  defaults.limits.labels = limit(options.scrape_label_limit);
  defaults.limits.label_value_bytes = limit(options.scrape_label_value_length_limit);
  defaults.left_out = [&left_out](const std::string& job, const Status& why) {
    left_out.With({job}).Increment();
    log::Warn("a scraped series was left out", {{"job", job}, {"err", why}});
  };
  return defaults;
}

// The scheme, host and path under which people reach the server, without a slash at the end.
struct ExternalUrl {
  std::string whole;
  std::string path;
};

ExternalUrl ExternalUrlOf(const ServerOptions& options) {
  ExternalUrl out;
  out.whole = options.web_external_url;
  if (out.whole.empty()) {
    const std::string& listen = options.web_listen.front();
    out.whole = StrCat("http://", Hostname(), listen.substr(listen.rfind(':')));
  }
  while (out.whole.ends_with('/')) out.whole.pop_back();
  const size_t host = out.whole.find("://");
  const size_t slash = out.whole.find('/', host == std::string::npos ? 0 : host + 3);
  if (slash != std::string::npos) out.path = out.whole.substr(slash);
  return out;
}

std::string PrefixOf(const ServerOptions& options, const ExternalUrl& external) {
  if (options.web_route_prefix.empty()) return external.path;
  std::string prefix = options.web_route_prefix;
  while (prefix.ends_with('/')) prefix.pop_back();
  if (!prefix.empty() && !prefix.starts_with('/')) prefix.insert(0, "/");
  return prefix;
}

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

// An error without the secrets that it may quote: the place that is wrong may be an address with a
// password.
Status Shown(const Status& status) {
  if (status.ok()) return status;
  return Status(status.code(), log::MaskSecrets(config::HideUrlSecrets(status.message())));
}

}  // namespace

struct Server::Parts {
  Parts(const ServerFlags& f, std::function<void()> q) : flags(f), quit(std::move(q)) {}
  ~Parts() { Stop(); }

  Status Open();
  // Says whether the run before was stopped in order, and that this one has not been.
  Status NoteStart();
  void NoteEnd();
  Status OpenDoors();
  Status OpenGrpc();
  Status OpenEnrolment();
  Status OpenPushes();
  Status Apply(Loaded loaded) VEDETTE_REQUIRES(reload_mu);
  Status Reload() VEDETTE_EXCLUDES(reload_mu);
  void WatchFiles();
  void Stop();

  std::vector<ruler::RuleGroupStatus> RuleGroups() const;
  api::TsdbInfo TsdbInfo(size_t limit) const;
  api::RuntimeInfo Runtime() const VEDETTE_EXCLUDES(state_mu);
  const storage::Queryable& queryable() const {
    if (start_times != nullptr) return *start_times;
    return db->queryable();
  }
  rpc::EventSink RpcEvents();
  // Our own certificate, and the CA's with the list of revoked ones beside it.
  tls::CertificateFiles GrpcFiles() const;

  const ServerFlags& flags;
  const std::function<void()> quit;
  const ServerOptions& options = flags.options();
  const Clock& clock = SystemClock();
  const int64_t start_ms = clock.NowMs();
  const ExternalUrl external = ExternalUrlOf(options);
  const std::string prefix = PrefixOf(options, external);

  metrics::Registry registry;
  metrics::Gauge& reload_ok = registry.AddGauge("prometheus_config_last_reload_successful",
                                                "1 when the last reload took effect.");
  metrics::Gauge& reload_time = registry.AddGauge(
      "prometheus_config_last_reload_success_timestamp_seconds", "When a reload last took effect.");
  metrics::Gauge& insecure =
      registry.AddGauge("vedette_grpc_insecure", "1 while the gRPC door is open without TLS.");
  metrics::Family<metrics::Counter>& rpc_events = registry.AddCounterFamily(
      "vedette_grpc_events_total", "Refused handshakes and calls, and other events of gRPC.",
      {"event"});
  metrics::Family<metrics::Counter>& left_out = registry.AddCounterFamily(
      "vedette_target_series_left_out_total",
      "Scraped series left out because a label is longer than --scrape.label-value-length-limit.",
      {"job"});

  // From the ground up; Stop goes the other way.
  MemoryLimit memory{options.memory_limit_bytes, clock};
  std::unique_ptr<tsdb::Tsdb> db;
  std::unique_ptr<StartTimes> start_times;  // Null unless start timestamps are kept.
  std::unique_ptr<remote::RemoteWrite> remote_write;  // Every writer goes through its appender.
  std::unique_ptr<promql::Engine> engine;
  std::unique_ptr<AlertPipeline> alerts;
  std::unique_ptr<ruler::Ruler> rules;
  std::unique_ptr<BackfillWatch> backfills;
  std::unique_ptr<push::PushStore> pushes;  // Null: --no-web.enable-push.
  std::unique_ptr<Sources> sources;
  std::unique_ptr<scrape::ScrapeManager> scrapes;
  std::unique_ptr<discovery::DiscoveryManager> discovery;

  std::unique_ptr<api::QueryDoor> query_door;
  std::unique_ptr<api::RunningDoor> running_door;
  std::unique_ptr<api::SearchDoor> search_door;
  std::unique_ptr<api::SeriesDoor> series_door;
  std::unique_ptr<api::StatusDoor> status_door;
  std::unique_ptr<api::CostDoor> cost_door;
  std::atomic<uint64_t> written_bytes{0};
  std::unique_ptr<api::DashboardsDoor> dashboards_door;
  std::unique_ptr<api::PreferencesDoor> preferences_door;
  std::unique_ptr<api::TargetsDoor> targets_door;
  std::unique_ptr<api::RulesDoor> rules_door;
  std::unique_ptr<api::AlertmanagerDoor> alertmanager_door;
  std::unique_ptr<api::RehearseDoor> rehearse_door;
  std::unique_ptr<api::FederateDoor> federate_door;
  std::unique_ptr<api::AdminDoor> admin_door;
  std::unique_ptr<api::ReadDoor> read_door;
  std::unique_ptr<api::OtlpDoor> otlp_door;
  std::unique_ptr<api::WriteDoor> write_door;
  QueryLog query_log;
  std::unique_ptr<http::Server> http;
  std::shared_ptr<grpc::Service> query_service;
  std::unique_ptr<rpc::Server> grpc;
  std::unique_ptr<enrol::EnrolDoor> enrolment;
  std::thread watcher;

  std::atomic<bool> ready{false};
  bool stopped = false;

  Mutex reload_mu;  // One reload at a time.
  mutable Mutex state_mu;
  CondVar stopping_changed;
  bool stopping VEDETTE_GUARDED_BY(state_mu) = false;
  std::shared_ptr<const config::PrometheusConfig> config VEDETTE_GUARDED_BY(state_mu);
  bool last_reload_ok VEDETTE_GUARDED_BY(state_mu) = false;
  int64_t last_config_ms VEDETTE_GUARDED_BY(state_mu) = 0;
};

Result<std::unique_ptr<Server>> Server::Start(const ServerFlags& flags,
                                              std::function<void()> quit) {
  auto parts = std::make_unique<Parts>(flags, std::move(quit));
  VEDETTE_RETURN_IF_ERROR(Shown(parts->Open()));
  return std::unique_ptr<Server>(new Server(std::move(parts)));
}

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Server::~Server() = default;
Status Server::Reload() { return parts_->Reload(); }
void Server::Stop() { parts_->Stop(); }

bool Server::Alive() const {
  (void)parts_->db->stats();
  (void)parts_->RuleGroups();
  return parts_->ready.load();
}

Status Server::Parts::Open() {
  // Configuration first: a mistake in it must not touch the data directory.
  VEDETTE_ASSIGN_OR_RETURN(Loaded loaded, Load(options.config_file, JobDefaultsOf(options, left_out)));

  tsdb::TsdbOptions storage;
  storage.path = options.storage_path;
  const config::StorageConfig& sc = loaded.config.storage;
  storage.retention_ms = sc.retention_time_ms.value_or(options.retention_time_ms);
  storage.retention_bytes =
      sc.retention_size_bytes.value_or(static_cast<uint64_t>(options.retention_size_bytes));
  if (storage.retention_ms == 0 && storage.retention_bytes == 0) {
    storage.retention_ms = kDefaultRetentionMs;
  }
  storage.out_of_order_window_ms = sc.out_of_order_time_window_ms;
  storage.max_exemplars = static_cast<uint64_t>(sc.max_exemplars);
  storage.wal_sync_ms = options.wal_sync_ms;
  VEDETTE_RETURN_IF_ERROR(LimitStorage(options, sc, storage));
  CountStorage(registry, clock, storage);
  Result<std::unique_ptr<tsdb::Tsdb>> opened = tsdb::Tsdb::Open(storage, clock);
  if (!opened.ok()) return opened.status().Annotate("--storage.tsdb.path");
  db = *std::move(opened);
  VEDETTE_RETURN_IF_ERROR(NoteStart());
  if (options.start_timestamps) {
    start_times = std::make_unique<StartTimes>(db->appender(), db->queryable());
  }
  storage::Appender& appender =
      start_times != nullptr ? static_cast<storage::Appender&>(*start_times) : db->appender();
  VEDETTE_ASSIGN_OR_RETURN(
      remote_write,
      OpenRemoteWrite(*db, appender, static_cast<uint64_t>(options.remote_queue_bytes),
                      options.remote_rewind_ms, clock, registry));

  promql::EngineOptions query = options.query;
  query.default_subquery_step_ms = loaded.config.global.evaluation_interval_ms;
  if (memory.limit_bytes() > 0) query.memory_left = [this] { return memory.Left(); };
  query.ended = CountQueries(registry, clock);
  query.helpers = std::clamp(static_cast<int>(std::thread::hardware_concurrency()) - 1, 0, 8);
  engine = promql::MakeEngine(query, queryable(), clock);

  AlertPipeline::Options pipeline;
  pipeline.alertmanager_config_file = options.alertmanager_config_file;
  pipeline.external_url = external.whole;
  pipeline.queue_capacity = options.notification_queue_capacity;
  pipeline.batch_size = options.notification_batch_size;
  VEDETTE_ASSIGN_OR_RETURN(alerts,
                           AlertPipeline::Start(pipeline, db->key_value(), clock, registry));

  ruler::RulerOptions ruling;
  ruling.for_outage_tolerance_ms = options.for_outage_tolerance_ms;
  ruling.for_grace_period_ms = options.for_grace_period_ms;
  ruling.resend_delay_ms = options.resend_delay_ms;
  ruling.max_concurrent_evals = static_cast<int>(options.max_concurrent_evals);
  ruling.external_url = external.whole;
  const promql::ParserOptions parsing{.experimental_functions = query.experimental_functions,
                                      .extended_range_selectors = query.extended_range_selectors,
                                      .binop_fill_modifiers = query.binop_fill_modifiers};
  ruling.check_expression = [parsing](const std::string& text) -> Status {
    const auto expr = promql::ParseExpr(text, parsing);
    return expr.ok() ? Status() : expr.status();
  };
  ruling.condition = [parsing](const std::string& text) {
    return rehearsal::ConditionOf(text, parsing);
  };
  ruling.events = CountRules(registry, clock);
  rules = std::make_unique<ruler::Ruler>(
      ruling, *engine, remote_write->appender(), queryable(), clock,
      [this](std::vector<Alert> found) { alerts->Take(std::move(found)); });

  sources = std::make_unique<Sources>(db->key_value(), RpcEvents(), clock);
  scrape::ScrapeManager::Options scraping;
  scraping.source = [this](const scrape::Target& target, const scrape::Job& job) {
    return sources->Make(target, job);
  };
  scraping.seed = Labels::Of({{"host", Hostname()}}).Hash();
  scraping.gather = [this] { return sources->Gather(); };
  scraping.finish_brief_at_once = options.wal_sync_ms > 0;
  scraping.problem = [](const std::string& job, const Status& why) {
    log::Warn("target left out", {{"job", job}, {"err", why}});
  };
  scraping.events = CountScrapes(registry, clock);
  backfills = std::make_unique<BackfillWatch>(remote_write->appender(),
                                              [this](int64_t t_ms) { rules->FilledIn(t_ms); });
  scrapes = std::make_unique<scrape::ScrapeManager>(scraping, *backfills, clock);

  discovery::DiscoveryManager::Options discovering;
  discovering.publish = [this](TargetGroupsSnapshot groups) {
    scrapes->SetTargets(std::move(groups));
  };
  discovering.http = MakeDiscoveryHttp();
  discovering.events = MakeDiscoveryEvents(registry, "scrape");
  discovery = std::make_unique<discovery::DiscoveryManager>(std::move(discovering));

  AddSelfMetrics(registry, *db, *scrapes, *rules, *engine, memory);
  registry.AddGaugeFn("prometheus_ready", "1 once everything has started.",
                      [this] { return ready.load() ? 1.0 : 0.0; });
  registry.AddGaugeFn("prometheus_engine_query_log_enabled", "1 with global.query_log_file.",
                      [this] { return query_log.enabled() ? 1.0 : 0.0; });
  metrics::AddProcessMetrics(registry);
  metrics::AddBuildInfo(registry, "prometheus", kVersion);
  metrics::AddBuildInfo(registry, "vedette", kVersion);

  {
    MutexLock lock(reload_mu);
    VEDETTE_RETURN_IF_ERROR(Apply(std::move(loaded)));
  }
  VEDETTE_RETURN_IF_ERROR(OpenPushes());
  rules->Start();
  scrapes->Start();
  VEDETTE_RETURN_IF_ERROR(OpenGrpc());
  VEDETTE_RETURN_IF_ERROR(OpenEnrolment());
  VEDETTE_RETURN_IF_ERROR(OpenDoors());
  if (options.config_auto_reload) watcher = std::thread([this] { WatchFiles(); });
  ready = true;
  log::Info("ready", {{"page", external.whole}, {"series", db->stats().series}});
  return {};
}

Status Server::Parts::NoteStart() {
  VEDETTE_ASSIGN_OR_RETURN(const std::optional<std::string> left, db->key_value().Get(kRunningKey));
  registry
      .AddGauge("prometheus_tsdb_clean_start",
                "1 where the run before was stopped in order, or there was none; 0 after a crash.")
      .Set(left ? 0 : 1);
  const storage::KeyValue::Change running{std::string(kRunningKey), "1"};
  (void)db->key_value().Apply({&running, 1}, /*sync=*/true);  // Best effort, on a full disk.
  return {};
}

void Server::Parts::NoteEnd() {
  const storage::KeyValue::Change stopped{std::string(kRunningKey), std::nullopt};
  (void)db->key_value().Apply({&stopped, 1}, /*sync=*/true);  // As above.
}

Status Server::Parts::Apply(Loaded loaded) {
  for (const config::ConfigNotice& n : loaded.config.notices) {
    log::Warn("configuration field without effect",
              {{"line", n.line}, {"field", n.field}, {"reason", n.reason}});
  }
  // Whatever may be refused comes before whatever takes effect.
  VEDETTE_RETURN_IF_ERROR(rules->Check(loaded.rules));
  VEDETTE_RETURN_IF_ERROR(
      query_log.Use(loaded.config.global.query_log_file).Annotate("global.query_log_file"));
  VEDETTE_RETURN_IF_ERROR(alerts->Apply(loaded.config));
  VEDETTE_RETURN_IF_ERROR(
      remote_write->Apply(loaded.config.remote_write, loaded.config.global.external_labels));
  VEDETTE_RETURN_IF_ERROR(discovery->ApplyConfig(loaded.discovery));
  scrapes->ApplyJobs(std::move(loaded.jobs));
  engine->SetDefaultSubqueryStep(loaded.config.global.evaluation_interval_ms);
  VEDETTE_RETURN_IF_ERROR(rules->Update(std::move(loaded.rules)));
  const int64_t now_ms = clock.NowMs();
  {
    MutexLock lock(state_mu);
    config = std::make_shared<const config::PrometheusConfig>(std::move(loaded.config));
    last_reload_ok = true;
    last_config_ms = now_ms;
  }
  reload_ok.Set(1);
  reload_time.Set(static_cast<double>(now_ms) / 1000);
  return {};
}

Status Server::Parts::Reload() {
  MutexLock lock(reload_mu);
  Result<Loaded> loaded = Load(options.config_file, JobDefaultsOf(options, left_out));
  const Status status = Shown(loaded.ok() ? Apply(*std::move(loaded)) : loaded.status());
  if (status.ok()) {
    log::Info("configuration reloaded", {{"file", options.config_file}});
    return status;
  }
  reload_ok.Set(0);
  MutexLock state(state_mu);
  last_reload_ok = false;
  return status;
}

// --config.auto-reload: looks at the size and time of every file that the configuration names.
void Server::Parts::WatchFiles() {
  const auto stamp = [this] {
    std::vector<std::string> files = {options.config_file, options.alertmanager_config_file};
    {
      MutexLock lock(state_mu);
      for (const std::string& f : config->rule_files) files.push_back(f);
      for (const std::string& f : config->scrape_config_files) files.push_back(f);
    }
    std::string out;
    for (const std::string& f : files) {
      std::error_code none;
      const auto time = std::filesystem::last_write_time(f, none);
      StrAppend(out, f, " ", none ? 0 : time.time_since_epoch().count(), "\n");
    }
    return out;
  };
  std::string seen = stamp();
  for (;;) {
    {
      MutexLock lock(state_mu);
      if (!stopping) stopping_changed.WaitFor(state_mu, options.config_auto_reload_interval_ms);
      if (stopping) return;
    }
    std::string now = stamp();
    if (now == seen) continue;
    seen = std::move(now);
    const Status status = Reload();
    if (!status.ok()) log::Error("reload failed; the old configuration stays", {{"err", status}});
  }
}

std::vector<ruler::RuleGroupStatus> Server::Parts::RuleGroups() const {
  std::vector<ruler::RuleGroupStatus> out;
  for (const auto& g : rules->Groups()) out.push_back(*g);
  return out;
}

api::TsdbInfo Server::Parts::TsdbInfo(size_t limit) const {
  const tsdb::TsdbStats s = db->stats();
  const tsdb::CardinalityStats c = db->cardinality(limit);
  api::TsdbInfo out;
  out.series = s.active_series;
  out.label_pairs = s.label_pairs;
  out.chunks = s.sealed_chunks;
  out.min_time_ms = s.min_t_ms;
  out.max_time_ms = s.max_t_ms;
  const auto copy = [](const std::vector<tsdb::NameCount>& from) {
    std::vector<api::NamedCount> to;
    for (const tsdb::NameCount& n : from) to.push_back({n.name, n.count});
    return to;
  };
  out.series_by_metric = copy(c.series_by_metric);
  out.values_by_label = copy(c.values_by_label);
  out.bytes_by_label = copy(c.bytes_by_label);
  out.series_by_pair = copy(c.series_by_pair);
  for (const auto& [job, count] : s.series_by_owner) out.series_by_job.push_back({job, count});
  out.disk_bytes = s.disk_bytes;
  out.head_memory_bytes = s.head_memory_bytes;
  out.index_memory_bytes = s.index_memory_bytes;
  return out;
}

api::RuntimeInfo Server::Parts::Runtime() const {
  api::RuntimeInfo out;
  out.start_time_ms = start_ms;
  out.now_ms = clock.NowMs();
  std::error_code none;
  out.working_directory = std::filesystem::current_path(none).string();
  out.hostname = Hostname();
  out.corruption_count = db->stats().damaged_chunks;
  out.threads = static_cast<int>(std::thread::hardware_concurrency());
  out.storage_retention = FormatDuration(options.retention_time_ms != 0 ? options.retention_time_ms
                                                                        : kDefaultRetentionMs);
  MutexLock lock(state_mu);
  out.reload_config_success = last_reload_ok;
  out.last_config_time_ms = last_config_ms;
  return out;
}

rpc::EventSink Server::Parts::RpcEvents() {
  return [this](const rpc::Event& e) {
    rpc_events.With({std::string(rpc::EventName(e.kind))}).Increment();
    std::string facts;
    for (const auto& [key, value] : e.fields)
      StrAppend(facts, facts.empty() ? "" : " ", key, "=", value);
    if (e.kind == rpc::EventKind::kListening || e.kind == rpc::EventKind::kStopped) {
      log::Info(e.message, {{"event", rpc::EventName(e.kind)}, {"facts", facts}});
    } else {
      log::Warn(e.message, {{"event", rpc::EventName(e.kind)}, {"facts", facts}});
    }
  };
}

tls::CertificateFiles Server::Parts::GrpcFiles() const {
  const std::string& ca = options.grpc_tls_ca;
  return {.ca_file = ca,
          .crl_file = ca.ends_with(".crt") ? ca.substr(0, ca.size() - 4) + ".crl" : "",
          .cert_file = options.grpc_tls_cert,
          .key_file = options.grpc_tls_key};
}

Status Server::Parts::OpenGrpc() {
  if (options.grpc_listen.empty()) {
    log::Info("the gRPC door is closed: no --grpc.listen-address");
    return {};
  }
  query_service = api::MakeQueryService({.engine = engine.get(),
                                         .queryable = &queryable(),
                                         .scrapes = scrapes.get(),
                                         .watcher = scrapes.get(),
                                         .rule_groups = [this] { return RuleGroups(); },
                                         .parse_selector = promql::ParseMetricSelector,
                                         .clock = &clock});
  rpc::ServerOptions door;
  door.listen_addresses = options.grpc_listen;
  door.files = GrpcFiles();
  door.insecure = options.grpc_insecure;
  door.rules = {{"/vedette.v1.QueryService/",
                 {tls::Role::kOperator, tls::Role::kViewer, tls::Role::kServer}},
                // Who only looks does not end other people's queries.
                {"/vedette.v1.QueryService/KillQuery",
                 {tls::Role::kOperator, tls::Role::kServer}},
                {"/vedette.v1.QueryService/Watch", {tls::Role::kOperator}}};
  door.events = RpcEvents();
  if (!door.insecure &&
      (door.files.ca_file.empty() || door.files.cert_file.empty() || door.files.key_file.empty())) {
    return FailedPrecondition(
        "--grpc.listen-address needs --grpc.tls.ca, --grpc.tls.cert and --grpc.tls.key (vedettectl "
        "ca init and ca issue make them); --grpc.insecure does without, for a test on one machine");
  }
  if (door.insecure) {
    insecure.Set(1);
    log::Warn("GRPC IS OPEN TO EVERYBODY: --grpc.insecure switches off TLS and roles");
  }
  rpc::SetTransportLog(RpcEvents());
  Result<std::unique_ptr<rpc::Server>> started =
      rpc::Server::Start(std::move(door), {query_service.get()});
  if (!started.ok()) return started.status().Annotate("--grpc.listen-address");
  grpc = *std::move(started);
  return {};
}

Status Server::Parts::OpenEnrolment() {
  if (options.enrol_listen.empty()) return {};
  if (options.enrol_ca_dir.empty() || options.grpc_tls_cert.empty()) {
    return FailedPrecondition(
        "--enrol.listen-address needs --enrol.ca-dir (made by vedettectl ca init) and this "
        "server's "
        "certificate (--grpc.tls.ca, --grpc.tls.cert, --grpc.tls.key)");
  }
  enrol::EnrolDoorOptions door;
  door.listen_addresses = options.enrol_listen;
  door.ca_dir = options.enrol_ca_dir;
  door.files = GrpcFiles();
  door.events = RpcEvents();
  Result<std::unique_ptr<enrol::EnrolDoor>> started = enrol::StartEnrolDoor(std::move(door));
  if (!started.ok()) return started.status().Annotate("--enrol.listen-address");
  enrolment = *std::move(started);
  return {};
}

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
  const promql::ParserOptions parsing{
      .experimental_functions = options.query.experimental_functions,
      .extended_range_selectors = options.query.extended_range_selectors,
      .binop_fill_modifiers = options.query.binop_fill_modifiers};
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
  federate_door = std::make_unique<api::FederateDoor>(
      queryable(), parse, options.query.lookback_ms, external_labels, clock);
  status_door = std::make_unique<api::StatusDoor>(
      api::StatusBackends{.build = {.version = kVersion},
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
                          .max_notification_readers =
                              static_cast<int>(options.web_max_notification_readers)});

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
    write_door = std::make_unique<api::WriteDoor>(remote_write->appender(), registry);
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
  http::AddDebugRoutes(router, prefix,
                       [admin = options.web_enable_admin_api,
                        knows_its_users = protection.knows_its_users] {
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
  door.max_connections = static_cast<int>(options.web_max_connections);
  // Queries that run and queries that wait for their turn each take a worker: with these more there
  // is always one for whoever asks something quick.
  door.worker_threads = options.query.max_concurrency + promql::kMaxWaitingQueries + 16;
  door.max_connections_per_peer = door.max_connections;
  door.on_access = [this, count = CountHttp(registry, prefix)](
                       const http::ServerOptions::Access& access) {
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

void Server::Parts::Stop() {
  if (std::exchange(stopped, true)) return;
  const bool was_ready = ready.exchange(false);
  {
    MutexLock lock(state_mu);
    stopping = true;
  }
  stopping_changed.NotifyAll();
  if (watcher.joinable()) watcher.join();
  if (http) http->Stop(kStopMs);
  if (enrolment) enrolment->Shutdown(kStopMs);
  if (grpc) grpc->Shutdown(kStopMs);
  if (discovery) discovery->Stop();
  if (scrapes) scrapes->Stop();
  if (pushes) pushes->Stop();
  if (rules) rules->Stop();
  if (alerts) alerts->Stop();
  // Writers go before the storage that they write to.
  http.reset();
  enrolment.reset();
  grpc.reset();
  query_service.reset();
  discovery.reset();
  scrapes.reset();
  pushes.reset();
  sources.reset();
  backfills.reset();
  rules.reset();
  alerts.reset();
  engine.reset();
  remote_write.reset();
  start_times.reset();
  if (was_ready) NoteEnd();
  db.reset();
}

}  // namespace vedette
