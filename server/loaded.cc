#include "server/loaded.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "common/config/register_secrets.h"
#include "common/config/rules.h"
#include "common/log/log.h"

namespace vedette {

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

}  // namespace vedette
