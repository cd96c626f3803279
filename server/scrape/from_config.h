#pragma once

#include <memory>

#include "common/base/status.h"
#include "common/config/prometheus.h"
#include "server/scrape/job.h"

namespace vedette::scrape {

// One scrape_config as a Job: rules compiled, limits taken over. INVALID_ARGUMENT with the job's
// name where a rule does not compile. strict_openmetrics is a server's flag, not the file's.
Result<std::shared_ptr<const Job>> JobFromConfig(const config::ScrapeConfig& config,
                                                 bool strict_openmetrics);

}  // namespace vedette::scrape
