#include "server/jobs.h"

#include <optional>
#include <string>
#include <utility>

#include "common/base/strings.h"
#include "server/relabel/relabel.h"

namespace vedette {
namespace {

exposition::Protocol ProtocolOf(config::ScrapeProtocol protocol) {
  switch (protocol) {
    case config::ScrapeProtocol::kPrometheusProto:
      return exposition::Protocol::kPrometheusProto;
    case config::ScrapeProtocol::kOpenMetricsText1_0_0:
      return exposition::Protocol::kOpenMetrics1_0_0;
    case config::ScrapeProtocol::kOpenMetricsText0_0_1:
      return exposition::Protocol::kOpenMetrics0_0_1;
    case config::ScrapeProtocol::kPrometheusText1_0_0:
      return exposition::Protocol::kText1_0_0;
    case config::ScrapeProtocol::kPrometheusText0_0_4:
      return exposition::Protocol::kText0_0_4;
  }
  return exposition::Protocol::kText0_0_4;
}

std::string EscapingOf(config::NameEscaping escaping) {
  switch (escaping) {
    case config::NameEscaping::kAllowUtf8:
      return "allow-utf-8";
    case config::NameEscaping::kUnderscores:
      return "underscores";
    case config::NameEscaping::kDots:
      return "dots";
    case config::NameEscaping::kValues:
      return "values";
  }
  return "allow-utf-8";
}

Result<scrape::Relabel> Compile(const std::vector<config::RelabelConfig>& configs) {
  if (configs.empty()) return scrape::Relabel();
  VEDETTE_ASSIGN_OR_RETURN(relabel::Relabeler rules, relabel::Relabeler::Compile(configs));
  return scrape::Relabel([rules = std::move(rules)](const Labels& labels) -> std::optional<Labels> {
    LabelsBuilder builder(labels);
    if (!rules.Apply(builder)) return std::nullopt;
    return builder.Build();
  });
}

}  // namespace

Result<std::shared_ptr<const scrape::Job>> MakeJob(const config::ScrapeConfig& c) {
  auto job = std::make_shared<scrape::Job>();
  job->name = c.job_name;
  job->interval_ms = c.scrape_interval_ms;
  job->timeout_ms = c.scrape_timeout_ms;
  job->scheme = c.scheme;
  job->metrics_path = c.metrics_path;
  job->params.assign(c.params.begin(), c.params.end());
  job->honor_labels = c.honor_labels;
  job->honor_timestamps = c.honor_timestamps;
  job->track_timestamps_staleness = c.track_timestamps_staleness;
  job->protocols.clear();
  for (const config::ScrapeProtocol p : c.scrape_protocols) {
    job->protocols.push_back(ProtocolOf(p));
  }
  if (c.fallback_scrape_protocol) {
    job->fallback_protocol = ProtocolOf(*c.fallback_scrape_protocol);
  }
  job->escaping = EscapingOf(c.name_escaping);
  job->legacy_names = c.name_validation == config::NameValidation::kLegacy;
  job->enable_compression = c.enable_compression;
  job->native_histograms = c.scrape_native_histograms;
  job->always_classic_histograms = c.always_scrape_classic_histograms;
  job->extra_metrics = c.extra_scrape_metrics;
  job->limits = {.body_size_bytes = c.limits.body_size_limit_bytes,
                 .samples = c.limits.sample_limit,
                 .labels = c.limits.label_limit,
                 .label_name_bytes = c.limits.label_name_length_limit,
                 .label_value_bytes = c.limits.label_value_length_limit,
                 .targets = c.limits.target_limit,
                 .keep_dropped_targets = c.limits.keep_dropped_targets,
                 .native_histogram_buckets = c.native_histogram_bucket_limit};
  const std::string where = StrCat(c.file, ":", c.line, ": job ", Quoted(c.job_name));
  Result<scrape::Relabel> target = Compile(c.relabel_configs);
  if (!target.ok()) return target.status().Annotate(where + ": relabel_configs");
  job->relabel = *std::move(target);
  Result<scrape::Relabel> metric = Compile(c.metric_relabel_configs);
  if (!metric.ok()) return metric.status().Annotate(where + ": metric_relabel_configs");
  job->metric_relabel = *std::move(metric);
  job->fingerprint = config::ToYaml(c);
  return std::shared_ptr<const scrape::Job>(std::move(job));
}

}  // namespace vedette
