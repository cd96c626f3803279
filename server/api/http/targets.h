#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/config/relabel.h"
#include "server/api/http/call.h"
#include "server/api/http/series.h"
#include "server/scrape/scrape_manager.h"

namespace vedette::api {

// /api/v1/targets, scrape_pools, targets/metadata: what is scraped and how it went. Thread-safe;
// the manager outlives the door.
class TargetsDoor {
 public:
  // Nothing for a job that is not there. The rules of a pool, and its YAML.
  using RulesOfPool =
      std::function<std::optional<std::vector<config::RelabelConfig>>(const std::string& pool)>;
  using YamlOfPool = std::function<std::optional<std::string>(const std::string& pool)>;
  // Jobs whose new series the storage refuses now, and why.
  using RefusedJobs = std::function<std::map<std::string, std::string>()>;

  TargetsDoor(const scrape::ScrapeManager& manager, ParseSelector parse, std::string hostname,
              RulesOfPool rules_of_pool, YamlOfPool yaml_of_pool, RefusedJobs refused_jobs)
      : manager_(manager),
        parse_(std::move(parse)),
        hostname_(std::move(hostname)),
        rules_of_pool_(std::move(rules_of_pool)),
        yaml_of_pool_(std::move(yaml_of_pool)),
        refused_jobs_(std::move(refused_jobs)) {}

  Reply Targets(const Call& call) const;
  Reply ScrapePools(const Call& call) const;
  // The scrape_config of one pool as YAML, secrets hidden.
  Reply ScrapePoolConfig(const Call& call) const;
  // What each relabelling rule of a pool makes of the labels given as JSON in "labels".
  Reply RelabelSteps(const Call& call) const;
  Reply Metadata(const Call& call) const;

 private:
  const scrape::ScrapeManager& manager_;
  const ParseSelector parse_;
  const std::string hostname_;  // In place of localhost in globalUrl.
  const RulesOfPool rules_of_pool_;
  const YamlOfPool yaml_of_pool_;
  const RefusedJobs refused_jobs_;
};

}  // namespace vedette::api
