#include "server/rehearsal/rule_check.h"

#include <map>
#include <utility>

#include "common/base/strings.h"
#include "common/config/alertmanager.h"
#include "server/notify/receiver.h"
#include "server/promql/engine.h"
#include "server/promql/parser/parser.h"
#include "server/rehearsal/messages.h"
#include "server/rehearsal/scratch.h"
#include "server/ruler/ruler.h"

namespace vedette::rehearsal {

Status CheckRules(const std::vector<config::RuleGroupConfig>& groups) {
  const SteppedClock clock(0);
  ScratchStorage storage(nullptr);
  const std::unique_ptr<promql::Engine> engine = promql::MakeEngine({}, storage, clock);
  ruler::RulerOptions options;
  options.check_expression = [](const std::string& text) -> Status {
    return promql::ParseExpr(text, {.experimental_functions = true}).status();
  };
  ruler::Ruler ruler(options, *engine, storage, storage, clock, [](std::vector<Alert>) {});
  ruler::RulerConfig config;
  config.groups = groups;
  return ruler.Update(std::move(config));
}

std::vector<std::string> DuplicateRules(const std::vector<config::RuleGroupConfig>& groups) {
  std::map<std::string, int> seen;
  std::vector<std::string> out;
  for (const config::RuleGroupConfig& g : groups) {
    for (const config::RuleConfig& r : g.rules) {
      LabelsBuilder labels;
      for (const auto& [name, value] : r.labels) labels.Set(name, value);
      const std::string key = StrCat(r.name(), labels.Build().ToString());
      if (++seen[key] == 2) out.push_back(key);
    }
  }
  return out;
}

Status CheckAlertmanager(const std::string& file) {
  VEDETTE_ASSIGN_OR_RETURN(const config::AlertmanagerConfig config,
                           config::LoadAlertmanagerConfig(file));
  const SteppedClock clock(0);
  Recorder recorder;
  VEDETTE_ASSIGN_OR_RETURN(const auto receivers,
                           recorder.MakeReceivers(config, "http://localhost:9090", clock));
  (void)receivers;  // That they could be made is all that was asked.
  return {};
}

}  // namespace vedette::rehearsal
