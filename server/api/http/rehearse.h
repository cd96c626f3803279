#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/config/alertmanager.h"
#include "common/config/rules.h"
#include "server/api/http/call.h"

namespace vedette::api {

// One side of a rehearsal as it was asked for.
struct RehearsalAsk {
  std::vector<config::RuleGroupConfig> groups;
  config::AlertmanagerConfig alertmanager;
};

struct RehearsalQuestion {
  RehearsalAsk ask;
  bool compare = false;
  RehearsalAsk other;  // With compare.
  bool silences = true;
  int64_t from_ms = 0, to_ms = 0;
};

struct RehearseBackends {
  // What the server runs now, where the question does not bring its own.
  std::function<std::vector<config::RuleGroupConfig>()> groups;
  std::function<config::AlertmanagerConfig()> alertmanager;
  // The value of "data", as JSON.
  std::function<Result<std::string>(const RehearsalQuestion&, const promql::CancelFlag*)> run;
};

// POST /api/v1/rehearse: {"rules": text | {file: text}, "alertmanager": text, "from", "to",
// "silences": true, "compare": {"rules", "alertmanager"}}. Thread-safe.
class RehearseDoor {
 public:
  RehearseDoor(RehearseBackends backends, const Clock& clock)
      : b_(std::move(backends)), clock_(clock) {}

  Reply Rehearse(const Call& call) const;

 private:
  Result<RehearsalQuestion> Read(const Call& call) const;

  const RehearseBackends b_;
  const Clock& clock_;
};

}  // namespace vedette::api
