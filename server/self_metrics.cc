#include "server/self_metrics.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "server/idle_memory.h"

namespace vedette {
namespace {

void Value(std::vector<MetricFamily>& out, std::string_view name, MetricType type,
           std::string_view help, double value) {
  MetricFamily f{.name = std::string(name), .metadata = {.type = type, .help = std::string(help)}};
  f.samples.push_back({.labels = Labels::Of({{kMetricNameLabel, name}}), .value = value});
  out.push_back(std::move(f));
}

constexpr MetricType kCounter = MetricType::kCounter;
constexpr MetricType kGauge = MetricType::kGauge;

// One family whose samples differ in one label.
class Group {
 public:
  Group(std::vector<MetricFamily>& out, std::string_view name, MetricType type,
        std::string_view help) {
    family_.name = name;
    family_.metadata = {.type = type, .help = std::string(help)};
    out_ = &out;
  }
  ~Group() { out_->push_back(std::move(family_)); }
  void Add(std::string_view label, std::string_view value, double v) {
    family_.samples.push_back(
        {.labels = Labels::Of({{kMetricNameLabel, family_.name}, {label, value}}), .value = v});
  }

 private:
  MetricFamily family_;
  std::vector<MetricFamily>* out_;
};

// Instants of Prometheus, once in milliseconds and once in seconds; nothing while there is no sample.
void Instant(std::vector<MetricFamily>& out, const std::string& name, std::string_view help,
             int64_t t_ms) {
  if (t_ms == INT64_MAX || t_ms == INT64_MIN) return;
  Value(out, name, kGauge, StrCat(help, " In milliseconds."), static_cast<double>(t_ms));
  Value(out, name + "_seconds", kGauge, help, static_cast<double>(t_ms) / 1000);
}

void Head(const tsdb::TsdbStats& s, std::vector<MetricFamily>& out) {
  const auto real = [](auto v) { return static_cast<double>(v); };
  Value(out, "prometheus_tsdb_head_series", kGauge, "Series held in memory.",
        real(s.active_series));
  Value(out, "prometheus_tsdb_head_series_created_total", kCounter, "Series that began.",
        real(s.active_series + s.removed_series));
  Value(out, "prometheus_tsdb_head_series_removed_total", kCounter,
        "Series that are no longer held in memory.", real(s.removed_series));
  Value(out, "prometheus_tsdb_head_chunks", kGauge,
        "Columns in memory that are not sealed yet: one for each series of each timeline.",
        real(s.open_columns));
  Value(out, "prometheus_tsdb_head_chunks_removed_total", kCounter, "Columns that were sealed.",
        real(s.sealed_chunks));
  {
    Group g(out, "prometheus_tsdb_head_samples_appended_total", kCounter, "Samples appended.");
    g.Add("type", "float", real(s.appended_samples - s.appended_histograms));
    g.Add("type", "histogram", real(s.appended_histograms));
  }
  {
    Group g(out, "prometheus_tsdb_head_out_of_order_samples_appended_total", kCounter,
            "Samples that came out of order, and were taken.");
    g.Add("type", "float", real(s.late_samples));
    g.Add("type", "histogram", real(s.late_histograms));
  }
  Instant(out, "prometheus_tsdb_head_min_time", "The oldest sample in memory.", s.first_open_t_ms);
  Instant(out, "prometheus_tsdb_head_max_time", "The newest sample.", s.max_t_ms);
  Value(out, "prometheus_tsdb_head_truncations_total", kCounter,
        "Looks for timelines to seal and to put away.", real(s.seals));
  Value(out, "prometheus_tsdb_head_truncations_failed_total", kCounter, "Those that failed.",
        real(s.seal_failures));
}

void Exemplars(const tsdb::TsdbStats& s, std::vector<MetricFamily>& out) {
  const auto real = [](auto v) { return static_cast<double>(v); };
  Value(out, "prometheus_tsdb_exemplar_exemplars_appended_total", kCounter, "Exemplars appended.",
        real(s.exemplars_appended));
  Value(out, "prometheus_tsdb_exemplar_exemplars_in_storage", kGauge, "Exemplars kept.",
        real(s.exemplars_kept));
  Value(out, "prometheus_tsdb_exemplar_series_with_exemplars_in_storage", kGauge,
        "Series that have an exemplar.", real(s.exemplar_series));
  Value(out, "prometheus_tsdb_exemplar_last_exemplars_timestamp_seconds", kGauge,
        "The exemplar that has been kept longest.", real(s.first_exemplar_ms) / 1000);
  Value(out, "prometheus_tsdb_exemplar_max_exemplars", kGauge,
        "storage.exemplars.max_exemplars of the configuration.", real(s.max_exemplars));
}

void Storage(const tsdb::TsdbStats& s, std::vector<MetricFamily>& out) {
  const auto real = [](auto v) { return static_cast<double>(v); };
  Head(s, out);
  Exemplars(s, out);
  Instant(out, "prometheus_tsdb_lowest_timestamp",
          "The oldest sample that retention has left, to the grain of a block.", s.lowest_t_ms);
  Value(out, "prometheus_tsdb_blocks_loaded", kGauge, "Time partitions with sealed samples.",
        real(s.windows));
  Value(out, "prometheus_tsdb_out_of_order_samples_total", kCounter,
        "Samples refused because they were out of order.", real(s.out_of_order_samples));
  Value(out, "prometheus_tsdb_too_old_samples_total", kCounter,
        "Samples refused because they were older than the out-of-order window.",
        real(s.too_old_samples));
  Value(out, "prometheus_tsdb_storage_blocks_bytes", kGauge, "Bytes on disk.", real(s.disk_bytes));
  Value(out, "prometheus_tsdb_wal_storage_size_bytes", kGauge, "Bytes of the log.",
        real(s.wal_bytes));
  Value(out, "prometheus_tsdb_wal_writes_failed_total", kCounter,
        "Commits that the disk did not take.", real(s.failed_commits));
  Value(out, "prometheus_tsdb_compactions_triggered_total", kCounter,
        "Rounds of the work in the background: sealing, retention, merging.",
        real(s.maintenance_rounds));
  Value(out, "prometheus_tsdb_compactions_failed_total", kCounter, "Those that failed.",
        real(s.maintenance_failures));
  Value(out, "prometheus_tsdb_reloads_total", kCounter,
        "Attempts to open the database again after the disk had refused a write.",
        real(s.reopenings));
  Value(out, "prometheus_tsdb_reloads_failures_total", kCounter, "Those that failed.",
        real(s.reopening_failures));
  Value(out, "prometheus_tsdb_time_retentions_total", kCounter,
        "Time partitions that went because they were too old.", real(s.dropped_by_time));
  Value(out, "prometheus_tsdb_size_retentions_total", kCounter,
        "Time partitions that went because the storage was too large.", real(s.dropped_by_size));
  Value(out, "prometheus_tsdb_retention_limit_seconds", kGauge,
        "How long samples are kept; 0: for ever.", real(s.retention_ms) / 1000);
  Value(out, "prometheus_tsdb_retention_limit_bytes", kGauge,
        "How large the storage may be; 0: any size.", real(s.retention_bytes));
  {
    Group g(out, "vedette_tsdb_selections_total", kCounter,
            "Selections of series: from decoded columns that were kept, read and kept for the next "
            "time, or just read.");
    g.Add("columns", "kept", real(s.column_cache_hits));
    g.Add("columns", "read_and_kept", real(s.column_cache_fills));
    g.Add("columns", "read", real(s.column_cache_misses));
  }
  Value(out, "vedette_tsdb_series", kGauge, "Series in the index.", real(s.series));
  Value(out, "vedette_tsdb_sealed_chunks_total", kCounter, "Chunks sealed since the start.",
        real(s.sealed_chunks));
  Value(out, "vedette_tsdb_duplicate_samples_total", kCounter,
        "Samples refused because their instant has another value.", real(s.duplicate_samples));
  Value(out, "vedette_tsdb_too_far_ahead_samples_total", kCounter,
        "Samples refused because they lie too far in the future.", real(s.too_far_ahead_samples));
  {
    Group g(out, "vedette_tsdb_series_refused_total", kCounter,
            "Times that a new series was refused because a budget is used up, by job.");
    for (const auto& [job, refused] : s.refused_by_owner) g.Add("job", job, real(refused.series));
  }
  Value(out, "vedette_tsdb_forgotten_series_total", kCounter,
        "Series that left the index since the start, as all their data were gone.",
        real(s.forgotten_series));
  Value(out, "vedette_tsdb_lost_series", kGauge,
        "Series whose labels were in a file that is damaged; their samples cannot be found.",
        real(s.lost_series));
  Value(out, "vedette_tsdb_damaged_chunks_total", kCounter,
        "What was found damaged since the start: chunks left out of answers because their checksum "
        "did not match, tables, parts of the log.",
        real(s.damaged_chunks));
  Value(out, "vedette_tsdb_writable", kGauge, "0 while the disk refuses writes.",
        s.background_error.empty() ? 1 : 0);
  {
    Group g(out, "vedette_tsdb_memory_bytes", kGauge, "Memory of the storage by part.");
    g.Add("part", "head", real(s.head_memory_bytes));
    g.Add("part", "index", real(s.index_memory_bytes));
    g.Add("part", "column_cache", real(s.column_cache_bytes));
    g.Add("part", "memtables", real(s.store_memory.memtables));
    g.Add("part", "block_cache", real(s.store_memory.block_cache));
    g.Add("part", "table_readers", real(s.store_memory.table_readers));
    g.Add("part", "instants", real(s.instants_memory_bytes));
  }
  Group g(out, "vedette_tsdb_series_by_job", kGauge, "Series in memory by job.");
  for (const auto& [owner, count] : s.series_by_owner) g.Add("job", owner, real(count));
}

void Scraping(const scrape::ScrapeManager& scrapes, std::vector<MetricFamily>& out) {
  const scrape::Metrics& m = scrapes.metrics();
  const auto count = [&](std::string_view name, std::string_view help,
                         const scrape::Metrics::Count& c) {
    Value(out, name, kCounter, help, static_cast<double>(c.load(std::memory_order_relaxed)));
  };
  count("vedette_target_scrapes_total", "Scrapes.", m.scrapes_total);
  count("vedette_target_scrapes_failed_total", "Scrapes that failed.", m.scrapes_failed_total);
  count("vedette_target_samples_scraped_total", "Samples scraped.", m.samples_scraped_total);
  count("vedette_target_lines_in_step_total", "Lines that were known by their place alone.",
        m.lines_in_step_total);
  count("vedette_target_scrapes_missed_total",
        "Scrapes left out because the one before was still running.", m.scrapes_missed_total);
  count("vedette_target_backfilled_rows_total", "Scrapes filled in from what an agent had kept.",
        m.backfilled_rows_total);
  count("prometheus_target_scrapes_exceeded_sample_limit_total", "Scrapes that hit sample_limit.",
        m.exceeded_sample_limit_total);
  count("prometheus_target_scrapes_exceeded_body_size_limit_total",
        "Scrapes that hit body_size_limit.", m.exceeded_body_size_limit_total);
  count("prometheus_target_scrape_pool_exceeded_label_limits_total",
        "Scrapes that hit a label limit.", m.exceeded_label_limits_total);
  count("prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total",
        "Scrapes that hit native_histogram_bucket_limit.", m.exceeded_bucket_limit_total);
  count("prometheus_target_scrape_pool_exceeded_target_limit_total",
        "Times a job had more targets than target_limit.", m.exceeded_target_limit_total);
  count("prometheus_target_scrapes_sample_out_of_order_total", "Scraped samples out of order.",
        m.sample_out_of_order_total);
  count("prometheus_target_scrapes_sample_duplicate_timestamp_total",
        "Scraped samples with another value for a known instant.", m.sample_duplicate_total);
  count("prometheus_target_scrapes_sample_out_of_bounds_total",
        "Scraped samples too old or too far ahead.", m.sample_out_of_bounds_total);
  count("vedette_target_series_refused_total", "Scraped series that a budget refused.",
        m.series_refused_total);
  count("prometheus_target_scrape_pools_total", "Scrape pools made.", m.pools_total);
  count("prometheus_target_scrape_pool_reloads_total", "Scrape pools reloaded.",
        m.pool_reloads_total);
  const std::vector<scrape::ScrapeManager::PoolCounts> pools = scrapes.Counts();
  const auto each = [&](std::string_view name, std::string_view help, auto value) {
    Group g(out, name, kGauge, help);
    for (const auto& pool : pools) g.Add("scrape_job", pool.job, static_cast<double>(value(pool)));
  };
  using Pool = scrape::ScrapeManager::PoolCounts;
  each("prometheus_target_scrape_pool_targets", "Targets of a job.",
       [](const Pool& p) { return p.targets; });
  each("prometheus_target_scrape_pool_target_limit", "target_limit of a job; 0: none.",
       [](const Pool& p) { return p.target_limit; });
  each("prometheus_target_metadata_cache_entries", "Metric families that the targets told of.",
       [](const Pool& p) { return p.metadata_entries; });
  each("prometheus_target_metadata_cache_bytes", "Bytes of their names, help texts and units.",
       [](const Pool& p) { return p.metadata_bytes; });
}

void Rules(const ruler::Ruler& rules, std::vector<MetricFamily>& out) {
  const auto groups = rules.Groups();
  const auto each = [&](std::string_view name, MetricType type, std::string_view help, auto value) {
    Group g(out, name, type, help);
    for (const auto& s : groups) g.Add("rule_group", s->file + ";" + s->name, value(*s));
  };
  using Status = ruler::RuleGroupStatus;
  const auto real = [](auto v) { return static_cast<double>(v); };
  each("prometheus_rule_group_rules", kGauge, "Rules in a group.",
       [&](const Status& s) { return real(s.rules.size()); });
  each("prometheus_rule_group_interval_seconds", kGauge, "Interval of a group.",
       [&](const Status& s) { return real(s.interval_ms) / 1000; });
  each("prometheus_rule_group_iterations_total", kCounter, "Evaluations of a group.",
       [&](const Status& s) { return real(s.iterations); });
  each("prometheus_rule_group_iterations_missed_total", kCounter,
       "Evaluations left out because the one before was still running.",
       [&](const Status& s) { return real(s.iterations_missed); });
  each("prometheus_rule_evaluations_total", kCounter, "Evaluations of rules.",
       [&](const Status& s) { return real(s.evaluations); });
  each("prometheus_rule_evaluation_failures_total", kCounter, "Evaluations of rules that failed.",
       [&](const Status& s) { return real(s.evaluation_failures); });
  each("prometheus_rule_group_last_duration_seconds", kGauge, "Duration of the last evaluation.",
       [](const Status& s) { return s.evaluation_seconds; });
  each("prometheus_rule_group_last_evaluation_timestamp_seconds", kGauge,
       "Time of the last evaluation.",
       [&](const Status& s) { return real(s.last_evaluation_ms) / 1000; });
  each("prometheus_rule_group_last_evaluation_samples", kGauge,
       "Samples that the last evaluation wrote.",
       [&](const Status& s) { return real(s.samples_written); });
  each("prometheus_rule_group_last_rule_duration_sum_seconds", kGauge,
       "Duration of the last evaluation of each rule, summed up.", [](const Status& s) {
         double sum = 0;
         for (const ruler::RuleStatus& rule : s.rules) sum += rule.evaluation_seconds;
         return sum;
       });
  each("prometheus_rule_group_last_restore_duration_seconds", kGauge,
       "What looking up the state of alerts took after the start.",
       [](const Status& s) { return s.restore_seconds; });
}

void Queries(const promql::Engine& engine, std::vector<MetricFamily>& out) {
  const promql::EngineTotals t = engine.totals();
  const auto real = [](auto v) { return static_cast<double>(v); };
  Value(out, "prometheus_engine_queries", kGauge, "Queries that wait or run.", real(t.active));
  Value(out, "prometheus_engine_queries_concurrent_max", kGauge, "--query.max-concurrency.",
        engine.options().max_concurrency);
  Value(out, "prometheus_engine_query_samples_total", kCounter, "Samples read by queries.",
        real(t.samples));
  Value(out, "vedette_engine_queries_failed_total", kCounter, "Queries that ended in an error.",
        real(t.failed));
}

void Memory(const MemoryLimit& memory, std::vector<MetricFamily>& out) {
  const IdleMemory now = LookAtMemory();
  {
    Group g(out, "vedette_memory_bytes", kGauge,
            "Resident memory of the whole process by what it is: in use by the program "
            "(vedette_tsdb_memory_bytes is part of it), free and kept for the next use, and the "
            "program's own pages with its libraries'.");
    g.Add("part", "in_use", static_cast<double>(now.in_use_bytes));
    g.Add("part", "idle",
          static_cast<double>(std::max<int64_t>(now.resident_bytes - now.in_use_bytes, 0)));
    g.Add("part", "program", static_cast<double>(now.shared_bytes));
  }
  Value(out, "vedette_memory_limit_bytes", kGauge,
        "--memory.limit, or nine tenths of the control group's; 0 is none.",
        static_cast<double>(memory.limit_bytes()));
  Value(out, "vedette_memory_used_bytes", kGauge, "Memory that counts against the limit.",
        static_cast<double>(memory.used_bytes()));
  Value(out, "vedette_memory_queries_refused_total", kCounter,
        "Times a query was refused or ended because the limit was passed.",
        static_cast<double>(memory.refused()));
}

void Connections(const http::Server::Stats& s, std::vector<MetricFamily>& out) {
  Value(out, "vedette_http_connections", kGauge, "Connections to the HTTP door.", s.connections);
  Value(out, "vedette_http_connections_accepted_total", kCounter,
        "Connections that the HTTP door has taken.", static_cast<double>(s.accepted));
  Group g(out, "vedette_http_connections_closed_total", kCounter,
          "Connections that --web.max-connections closed: waiting ones that made room, and new ones "
          "for which there was none.");
  g.Add("reason", "made_room", static_cast<double>(s.evicted));
  g.Add("reason", "no_room", static_cast<double>(s.refused));
}

}  // namespace

void AddSelfMetrics(metrics::Registry& registry, const tsdb::Tsdb& db,
                    const scrape::ScrapeManager& scrapes, const ruler::Ruler& rules,
                    const promql::Engine& engine, const MemoryLimit& memory,
                    std::function<http::Server::Stats()> connections) {
  registry.AddCallback([&, connections = std::move(connections)](std::vector<MetricFamily>& out) {
    Storage(db.stats(), out);
    Scraping(scrapes, out);
    Rules(rules, out);
    Queries(engine, out);
    Memory(memory, out);
    Connections(connections(), out);
  });
}

}  // namespace vedette
