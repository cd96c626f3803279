#pragma once

#include <memory>
#include <vector>

#include "common/base/status.h"
#include "common/config/prometheus.h"
#include "server/scrape/job.h"

namespace vedette {

// A scrape_config as the scrape loops need it: rules compiled, defaults filled in.
Result<std::shared_ptr<const scrape::Job>> MakeJob(const config::ScrapeConfig& config);

}  // namespace vedette
