#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/config/discovery.h"
#include "common/config/prometheus.h"
#include "common/metrics/metrics.h"
#include "server/options.h"
#include "server/ruler/ruler.h"
#include "server/scrape/from_config.h"
#include "server/scrape/job.h"

namespace vedette {

// Everything that the configuration files say, read and checked, not yet in effect.
struct Loaded {
  config::PrometheusConfig config;
  std::vector<std::shared_ptr<const scrape::Job>> jobs;
  std::map<std::string, config::DiscoveryConfig> discovery;
  ruler::RulerConfig rules;
};

// `file` is the main one; those that it names are read too. Errors name file, line and field.
Result<Loaded> Load(const std::string& file, const scrape::JobDefaults& defaults);

// What the flags say for every job. `left_out` counts by job and outlives the jobs.
scrape::JobDefaults JobDefaultsOf(const ServerOptions& options,
                                  metrics::Family<metrics::Counter>& left_out);

}  // namespace vedette
