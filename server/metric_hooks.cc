#include "server/metric_hooks.h"

#include <utility>
#include <vector>

#include "common/base/strings.h"

namespace vedette {
namespace {

// A duration as a summary and as a histogram, by one label or none.
class Durations {
 public:
  Durations(metrics::Registry& registry, const Clock& clock, const std::string& name,
            std::string_view help, std::vector<std::string> labels,
            std::vector<double> bounds = {0.01, 0.1, 1, 10})
      : summary_(registry.AddSummaryFamily(name + "_seconds", help, labels, clock)),
        histogram_(registry.AddHistogramFamily(name + "_histogram_seconds", help, labels,
                                               std::move(bounds))) {
    if (labels.empty()) Begin({});
  }

  // Shows what was not observed yet.
  void Begin(const std::vector<std::string>& values) const {
    summary_.With(values);
    histogram_.With(values);
  }

  void Observe(const std::vector<std::string>& values, double seconds) const {
    summary_.With(values).Observe(seconds);
    histogram_.With(values).Observe(seconds);
  }

 private:
  metrics::Family<metrics::Summary>& summary_;
  metrics::Family<metrics::Histogram>& histogram_;
};

}  // namespace

std::string GoDuration(int64_t ms) {
  if (ms == 0) return "0s";
  if (ms < 1000) return StrCat(ms, "ms");
  const int64_t hours = ms / 3'600'000;
  const int64_t minutes = ms / 60'000 % 60;
  std::string out;
  if (hours > 0) StrAppend(out, hours, "h");
  if (hours > 0 || minutes > 0) StrAppend(out, minutes, "m");
  StrAppend(out, static_cast<double>(ms % 60'000) / 1000, "s");
  return out;
}

std::function<void(const promql::QueryStats&)> CountQueries(metrics::Registry& registry,
                                                            const Clock& clock) {
  const Durations durations(registry, clock, "prometheus_engine_query_duration",
                            "Where queries spend their time.", {"slice"});
  for (const char* slice : {"queue_time", "prepare_time", "inner_eval", "result_sort"}) {
    durations.Begin({slice});
  }
  return [durations](const promql::QueryStats& s) {
    durations.Observe({"queue_time"}, s.queue_seconds);
    if (!s.evaluated) return;
    durations.Observe({"prepare_time"}, s.prepare_seconds);
    durations.Observe({"inner_eval"}, s.eval_seconds - s.sort_seconds);
    durations.Observe({"result_sort"}, s.sort_seconds);
  };
}

scrape::Events CountScrapes(metrics::Registry& registry, const Clock& clock) {
  // The bounds of Prometheus' own: intervals of whole seconds.
  const Durations intervals(registry, clock, "prometheus_target_interval_length",
                            "How long after the scrape before a scrape began.", {"interval"},
                            {1, 5, 10, 15, 30, 60, 120, 300});
  const Durations syncs(registry, clock, "prometheus_target_sync_length",
                        "What making targets of a job out of what was discovered took.",
                        {"scrape_job"});
  auto& synced = registry.AddCounterFamily("prometheus_target_scrape_pool_sync_total",
                                           "Times that the targets of a job were made.",
                                           {"scrape_job"});
  auto& failed = registry.AddCounterFamily("prometheus_target_sync_failed_total",
                                           "Targets that could not be made.", {"scrape_job"});
  return {.began =
              [intervals](int64_t interval_ms, double seconds) {
                intervals.Observe({GoDuration(interval_ms)}, seconds);
              },
          .synced =
              [syncs, &synced, &failed](const std::string& job, double seconds, uint64_t failures) {
                syncs.Observe({job}, seconds);
                synced.With({job}).Increment();
                failed.With({job}).Add(failures);
              }};
}

ruler::Events CountRules(metrics::Registry& registry, const Clock& clock) {
  const Durations rules(registry, clock, "prometheus_rule_evaluation_duration",
                        "Duration of the evaluation of a rule.", {});
  const Durations groups(registry, clock, "prometheus_rule_group_duration",
                         "Duration of the evaluation of a rule group.", {});
  auto& expanded = registry.AddCounter("prometheus_template_text_expansions_total",
                                       "Labels and annotations of alerts that were worked out.");
  auto& failed = registry.AddCounter("prometheus_template_text_expansion_failures_total",
                                     "Those that failed.");
  return {.rule_ran = [rules](double seconds) { rules.Observe({}, seconds); },
          .group_ran = [groups](double seconds) { groups.Observe({}, seconds); },
          .template_expanded =
              [&expanded, &failed](bool ok) {
                expanded.Increment();
                if (!ok) failed.Increment();
              }};
}

void CountStorage(metrics::Registry& registry, const Clock& clock, tsdb::TsdbOptions& options) {
  auto& synced = registry
                     .AddSummaryFamily("prometheus_tsdb_wal_fsync_duration_seconds",
                                       "What bringing the log to the disk took.", {}, clock)
                     .With({});
  auto& merged = registry.AddHistogram("prometheus_tsdb_compaction_duration_seconds",
                                       "What merging the chunks of a time partition took.",
                                       metrics::ExponentialBuckets(1, 2, 14));
  auto& merges = registry.AddCounter("prometheus_tsdb_compactions_total",
                                     "Time partitions whose chunks were merged.");
  options.log_synced = [&synced](double seconds) { synced.Observe(seconds); };
  options.merged = [&merged, &merges](double seconds, bool ok) {
    merged.Observe(seconds);
    if (ok) merges.Increment();
  };
}

std::function<void(const http::ServerOptions::Access&)> CountHttp(metrics::Registry& registry,
                                                                  const std::string& prefix) {
  auto& durations = registry.AddHistogramFamily("prometheus_http_request_duration_seconds",
                                                "Duration of HTTP requests.", {"handler"},
                                                {0.1, 0.2, 0.4, 1, 3, 8, 20, 60, 120});
  auto& sizes = registry.AddHistogramFamily(
      "prometheus_http_response_size_bytes",
      "Size of the answers to HTTP requests as sent; what is written while it is sent is left out.",
      {"handler"}, metrics::ExponentialBuckets(100, 10, 8));
  auto& requests = registry.AddCounterFamily("prometheus_http_requests_total", "HTTP requests.",
                                             {"handler", "code"});
  auto& scrapes =
      registry.AddCounterFamily("promhttp_metric_handler_requests_total",
                                "Times that these metrics were asked for.", {"code"});
  auto& federation = registry.AddCounter("prometheus_web_federation_errors_total",
                                         "Federations that failed within.");
  scrapes.With({"200"});
  return [&, metrics_path = prefix + "/metrics", federate_path = prefix + "/federate"](
             const http::ServerOptions::Access& access) {
    constexpr int kServerErrors = 500;
    // Paths of the API are few; whatever else is asked for shares one name.
    std::string handler = access.request.path;
    if (handler == metrics_path) scrapes.With({StrCat(access.status)}).Increment();
    if (handler == federate_path && access.status >= kServerErrors) federation.Increment();
    if (access.status == 404 || handler.size() > 64) handler = "other";
    if (handler.find("/label/") != std::string::npos) handler = "/api/v1/label/:name/values";
    if (handler.find("/metrics/job") != std::string::npos) handler = "/metrics/job";
    requests.With({handler, StrCat(access.status)}).Increment();
    if (access.bytes > 0) sizes.With({handler}).Observe(static_cast<double>(access.bytes));
    durations.With({std::move(handler)}).Observe(static_cast<double>(access.duration_us) / 1e6);
  };
}

}  // namespace vedette
