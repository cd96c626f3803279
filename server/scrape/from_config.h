#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/base/status.h"
#include "common/config/prometheus.h"
#include "server/scrape/job.h"

namespace vedette::scrape {

// What the server's flags say, where the file does not: a target that nobody set a limit for is
// limited all the same.
struct JobDefaults {
  bool strict_openmetrics = false;
  // With either, PrometheusProto is asked for first where the file names no protocols: most programs
  // tell their start timestamps in no other form.
  bool start_timestamps = false;
  bool start_zero_samples = false;
  Limits limits;
  // Told of a series that was left out because a value of it is over limits.label_value_bytes, which
  // as a default costs the series and not the scrape. May be empty. Thread-safe.
  std::function<void(const std::string& job, const Status& why)> left_out;
};

// One scrape_config as a Job: rules compiled, limits taken over. INVALID_ARGUMENT with the job's
// name where a rule does not compile; UNAVAILABLE where scrape_failure_log_file cannot be opened.
Result<std::shared_ptr<const Job>> JobFromConfig(const config::ScrapeConfig& config,
                                                 const JobDefaults& defaults);

}  // namespace vedette::scrape
