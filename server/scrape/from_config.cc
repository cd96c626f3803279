#include "server/scrape/from_config.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/strings.h"
#include "common/log/line_file.h"
#include "server/relabel/relabel.h"

namespace vedette::scrape {
namespace {

exposition::Protocol ToProtocol(config::ScrapeProtocol protocol) {
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

std::string EscapingName(config::NameEscaping escaping) {
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

Result<Relabel> ToRelabel(const std::vector<config::RelabelConfig>& configs) {
  VEDETTE_ASSIGN_OR_RETURN(relabel::Relabeler rules, relabel::Relabeler::Compile(configs));
  if (rules.empty()) return Relabel();
  return Relabel([rules = std::move(rules)](const Labels& labels) -> std::optional<Labels> {
    LabelsBuilder builder(labels);
    if (!rules.Apply(builder)) return std::nullopt;
    return builder.Build();
  });
}

// The shard of a target is that of its final address, as the two rules say that people write who
// shard by hand.
void AddShardRules(uint64_t modulus, uint64_t shard, std::vector<config::RelabelConfig>& rules) {
  config::RelabelConfig hash;
  hash.action = config::RelabelAction::kHashMod;
  hash.source_labels = {"__address__"};
  hash.modulus = modulus;
  hash.target_label = "__tmp_vedette_shard";
  rules.push_back(std::move(hash));
  config::RelabelConfig keep;
  keep.action = config::RelabelAction::kKeep;
  keep.source_labels = {"__tmp_vedette_shard"};
  keep.regex = StrCat(shard);
  rules.push_back(std::move(keep));
}

// The finest schema whose buckets grow by at least `factor`.
int32_t SchemaOfFactor(double factor) {
  if (!(factor > 1)) return 8;
  const double schema = std::floor(-std::log2(std::log2(factor)));
  return static_cast<int32_t>(std::clamp(schema, -4.0, 8.0));
}

// Our own limit of values costs the series that is over it, as if a rule dropped it: the file's
// costs the scrape, as with Prometheus.
Relabel LeaveOutLongValues(Relabel rules, const JobDefaults& defaults, const std::string& job) {
  return [rules = std::move(rules), most = defaults.limits.label_value_bytes,
          left_out = defaults.left_out, job](const Labels& labels) -> std::optional<Labels> {
    std::optional<Labels> kept = rules ? rules(labels) : labels;
    if (!kept) return kept;
    for (const Label& label : *kept) {
      if (label.value.size() <= most) continue;
      if (left_out) {
        left_out(job, ResourceExhausted(StrCat(
                          "label_value_length_limit exceeded (metric: ",
                          Quoted(kept->metric_name().substr(0, 50)), ", label name: ",
                          Quoted(label.name.substr(0, 50)), ", length: ", label.value.size(),
                          ", limit: ", most, ")")));
      }
      return std::nullopt;
    }
    return kept;
  };
}

// What the job is, without where it stands in the file and how its targets are found: a reload that
// moved a line is none.
config::ScrapeConfig Essence(config::ScrapeConfig config) {
  config.file.clear();
  config.line = 0;
  config.discovery = {};
  for (config::RelabelConfig& rule : config.relabel_configs) rule.line = 0;
  for (config::RelabelConfig& rule : config.metric_relabel_configs) rule.line = 0;
  return config;
}

}  // namespace

Result<std::shared_ptr<const Job>> JobFromConfig(const config::ScrapeConfig& config,
                                                 const JobDefaults& defaults) {
  auto job = std::make_shared<Job>();
  job->name = config.job_name;
  job->interval_ms = config.scrape_interval_ms;
  job->timeout_ms = config.scrape_timeout_ms;
  job->scheme = config.scheme;
  job->metrics_path = config.metrics_path;
  job->params.assign(config.params.begin(), config.params.end());
  job->honor_labels = config.honor_labels;
  job->honor_timestamps = config.honor_timestamps;
  job->track_timestamps_staleness = config.track_timestamps_staleness;
  if (!config.scrape_protocols.empty()) {
    job->protocols.clear();
    for (const config::ScrapeProtocol protocol : config.scrape_protocols) {
      job->protocols.push_back(ToProtocol(protocol));
    }
  }
  job->start_timestamps = defaults.start_timestamps;
  job->start_zero_samples = defaults.start_zero_samples;
  if (job->wants_starts() && job->protocols == Job().protocols) {
    job->protocols.insert(job->protocols.begin(), exposition::Protocol::kPrometheusProto);
  }
  if (config.fallback_scrape_protocol) {
    job->fallback_protocol = ToProtocol(*config.fallback_scrape_protocol);
  }
  job->escaping = EscapingName(config.name_escaping);
  job->legacy_names = config.name_validation == config::NameValidation::kLegacy;
  job->enable_compression = config.enable_compression;
  job->native_histograms = config.scrape_native_histograms;
  job->always_classic_histograms = config.always_scrape_classic_histograms;
  job->extra_metrics = config.extra_scrape_metrics;
  job->convert_classic_histograms = config.convert_classic_histograms_to_nhcb;
  job->strict_openmetrics = defaults.strict_openmetrics;
  job->limits = {.body_size_bytes = config.limits.body_size_limit_bytes,
                 .samples = config.limits.sample_limit,
                 .labels = config.limits.label_limit,
                 .label_name_bytes = config.limits.label_name_length_limit,
                 .label_value_bytes = config.limits.label_value_length_limit,
                 .targets = config.limits.target_limit,
                 .keep_dropped_targets = config.limits.keep_dropped_targets,
                 .native_histogram_buckets = config.native_histogram_bucket_limit,
                 .native_histogram_schema =
                     SchemaOfFactor(config.native_histogram_min_bucket_factor)};
  const auto by_default = [](uint64_t& limit, uint64_t otherwise) {
    if (limit == 0) limit = otherwise;
  };
  by_default(job->limits.body_size_bytes, defaults.limits.body_size_bytes);
  by_default(job->limits.samples, defaults.limits.samples);
  by_default(job->limits.labels, defaults.limits.labels);
  by_default(job->limits.label_name_bytes, defaults.limits.label_name_bytes);
  if (!config.scrape_failure_log_file.empty()) {
    Result<std::shared_ptr<log::LineFile>> file =
        log::LineFile::Open(config.scrape_failure_log_file);
    if (!file.ok()) {
      return file.status().Annotate(
          StrCat(config.file, ":", config.line, ": job ", config.job_name,
                 ": scrape_failure_log_file"));
    }
    job->failed = [file = *std::move(file), name = config.job_name](const std::string& url,
                                                                    const Status& why) {
      file->Write(StrCat("{\"time\":\"", log::LogTime(SystemClock().NowMs()),
                         "\",\"level\":\"ERROR\",\"msg\":", log::JsonQuoted(why.message()),
                         ",\"job_name\":", log::JsonQuoted(name),
                         ",\"target\":", log::JsonQuoted(url), "}"));
    };
  }
  std::vector<config::RelabelConfig> rules = config.relabel_configs;
  if (config.modulus > 1) AddShardRules(config.modulus, config.shard, rules);
  Result<Relabel> relabel = ToRelabel(rules);
  if (!relabel.ok()) {
    return relabel.status().Annotate(StrCat("job ", config.job_name, ": relabel_configs"));
  }
  job->relabel = *std::move(relabel);
  Result<Relabel> metric_relabel = ToRelabel(config.metric_relabel_configs);
  if (!metric_relabel.ok()) {
    return metric_relabel.status().Annotate(
        StrCat("job ", config.job_name, ": metric_relabel_configs"));
  }
  job->metric_relabel = *std::move(metric_relabel);
  if (job->limits.label_value_bytes == 0 && defaults.limits.label_value_bytes > 0) {
    job->metric_relabel =
        LeaveOutLongValues(std::move(job->metric_relabel), defaults, config.job_name);
  }
  job->config = std::make_shared<const config::ScrapeConfig>(Essence(config));
  return std::shared_ptr<const Job>(std::move(job));
}

}  // namespace vedette::scrape
