#include "server/server.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "common/config/url_secrets.h"
#include "common/log/log.h"
#include "common/metrics/refusals.h"
#include "common/model/duration.h"
#include "server/cores.h"
#include "server/discovery_parts.h"
#include "server/metric_hooks.h"
#include "server/promql/parser/parser.h"
#include "server/promql/parsing.h"
#include "server/rehearsal/condition.h"
#include "server/self_metrics.h"
#include "server/server_parts.h"
#include "server/storage_limits.h"
#include "server/version.h"

namespace vedette {
namespace {

constexpr int64_t kDefaultRetentionMs = 15LL * 24 * 3600 * 1000;
// What requests and calls under way may still take at the end.
constexpr int64_t kStopMs = 5000;
// In the storage from the start of a run to its end.
constexpr std::string_view kRunningKey = "server/running";

// An error without the secrets that it may quote: the place that is wrong may be an address with a
// password.
Status Shown(const Status& status) {
  if (status.ok()) return status;
  return Status(status.code(), log::MaskSecrets(config::HideUrlSecrets(status.message())));
}

}  // namespace

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
  VEDETTE_ASSIGN_OR_RETURN(Loaded loaded,
                           Load(options.config_file, JobDefaultsOf(options, left_out)));

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
  query.helpers = std::clamp(UsableCores() - 1, 0, 8);
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
  const promql::ParserOptions parsing = promql::ParsingOf(query);
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
  scraping.at_rest = [this](std::function<void()> then, int64_t linger_ms) {
    sources->AtRest(std::move(then), linger_ms);
  };
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

  AddSelfMetrics(registry, *db, *scrapes, *rules, *engine, memory,
                 [this] { return http ? http->stats() : http::Server::Stats(); });
  registry.AddGaugeFn("prometheus_ready", "1 once everything has started.",
                      [this] { return ready.load() ? 1.0 : 0.0; });
  registry.AddGaugeFn("prometheus_engine_query_log_enabled", "1 with global.query_log_file.",
                      [this] { return query_log.enabled() ? 1.0 : 0.0; });
  metrics::AddProcessMetrics(registry);
  metrics::AddRefusals(registry, metrics::Doors::kServer);
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
  const tsdb::StoreShape shape = db->store_shape();
  for (const auto& l : shape.levels) {
    out.store.levels.push_back({l.family, l.level, l.files, l.bytes});
  }
  out.store.memtable_bytes = shape.memtable_bytes;
  out.store.pending_compaction_bytes = shape.pending_compaction_bytes;
  out.store.running_compactions = shape.running_compactions;
  out.store.running_flushes = shape.running_flushes;
  out.store.delayed_write_rate = shape.delayed_write_rate;
  out.store.writes_stopped = shape.writes_stopped;
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
