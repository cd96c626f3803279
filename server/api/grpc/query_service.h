#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/model/matcher.h"
#include "server/promql/engine.h"
#include "server/ruler/rule_status.h"
#include "server/scrape/scrape_manager.h"
#include "server/storage/queryable.h"

namespace grpc {
class Service;
}

namespace vedette::api {

// What QueryService asks. Everything outlives the service; null pointers are not allowed.
struct QueryBackends {
  promql::Engine* engine;
  const storage::Queryable* queryable;
  const scrape::ScrapeManager* scrapes;
  scrape::ScrapeManager* watcher;  // The same, for Watch.
  std::function<std::vector<ruler::RuleGroupStatus>()> rule_groups;  // By file, then name.
  std::function<Result<std::vector<Matcher>>(std::string_view)> parse_selector;
  const Clock* clock;
};

// vedette.v1.QueryService: the HTTP API's questions over gRPC. A call that its client gives up stops
// its query. Thread-safe.
std::shared_ptr<grpc::Service> MakeQueryService(const QueryBackends& backends);

}  // namespace vedette::api
