#pragma once

#include <functional>
#include <string>
#include <vector>

#include "server/api/http/call.h"
#include "server/api/http/series.h"
#include "server/ruler/rule_status.h"

namespace vedette::api {

struct AlertmanagerUrls {
  std::vector<std::string> active;
  std::vector<std::string> dropped;
};

struct RulesBackends {
  std::function<std::vector<ruler::RuleGroupStatus>()> groups;  // By file, then name.
  std::function<AlertmanagerUrls()> alertmanagers;
  ParseSelector parse;
};

// /api/v1/rules, alerts, alertmanagers. Thread-safe.
class RulesDoor {
 public:
  explicit RulesDoor(RulesBackends backends) : b_(std::move(backends)) {}

  Reply Rules(const Call& call) const;
  Reply Alerts(const Call& call) const;
  Reply Alertmanagers(const Call& call) const;

 private:
  const RulesBackends b_;
};

}  // namespace vedette::api
