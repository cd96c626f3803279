#pragma once

#include <memory>
#include <string>

#include "common/base/clock.h"
#include "server/alerting/alerting.h"
#include "server/api/http/rehearse.h"
#include "server/promql/engine.h"
#include "server/storage/queryable.h"

namespace vedette {

// What a rehearsal takes from the server around it; all of it outlives the door.
struct RehearseContext {
  const storage::Queryable& history;
  alerting::Alerting& alerting;  // For its configuration and silences.
  std::function<std::vector<config::RuleGroupConfig>()> groups;
  std::function<int64_t()> evaluation_interval_ms;
  std::function<Labels()> external_labels;
  promql::EngineOptions query;
  std::string external_url;
};
std::unique_ptr<api::RehearseDoor> MakeRehearseDoor(RehearseContext context, const Clock& clock);

}  // namespace vedette
