#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "server/api/http/call.h"
#include "server/api/http/series.h"
#include "server/scrape/scrape_manager.h"

namespace vedette::api {

// /api/v1/targets, scrape_pools, targets/metadata: what is scraped and how it went. Thread-safe;
// the manager outlives the door.
class TargetsDoor {
 public:
  TargetsDoor(const scrape::ScrapeManager& manager, ParseSelector parse, std::string hostname)
      : manager_(manager), parse_(std::move(parse)), hostname_(std::move(hostname)) {}

  Reply Targets(const Call& call) const;
  Reply ScrapePools(const Call& call) const;
  Reply Metadata(const Call& call) const;

 private:
  const scrape::ScrapeManager& manager_;
  const ParseSelector parse_;
  const std::string hostname_;  // In place of localhost in globalUrl.
};

}  // namespace vedette::api
