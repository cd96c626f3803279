#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/config/rules.h"
#include "common/model/alert.h"
#include "common/model/labels.h"
#include "server/ruler/rule.h"
#include "server/ruler/rule_status.h"

namespace vedette::ruler {

// Takes what the rules have to tell. Called from evaluation threads, several at once.
using AlertSink = std::function<void(std::vector<Alert>)>;

struct GroupOptions {
  int64_t interval_ms = 60'000;
  int64_t query_offset_ms = 0;
  int64_t resend_delay_ms = 60'000;
  RestoreOptions restore;
  bool should_restore = false;  // The first load after a start, with `for` states to look for.
};

// One rule group: its rules run in order at one timestamp, so a later rule sees what an earlier one
// wrote. Evaluate is called by one thread at a time (the ruler sees to that); status() by anyone.
class RuleGroup {
 public:
  // `context` outlives the group.
  static Result<std::unique_ptr<RuleGroup>> Make(const RuleContext& context,
                                                 config::RuleGroupConfig config,
                                                 GroupOptions options);

  // Everything of the instant `t_ms`: rules, their series, and due alerts into `sink`. `missed`
  // instants before it went by without an evaluation. A rule that fails never stops the others.
  void Evaluate(int64_t t_ms, uint64_t missed, const AlertSink& sink);

  // Recording rules again for the instants of the grid in from_ms..to_ms, oldest first, at most
  // `instants` of them: samples of that time have come in since. Gives where to go on; over to_ms
  // when all is done.
  int64_t Refill(int64_t from_ms, int64_t to_ms, int instants);

  // Rules with the name and labels of one in `older` go on from its state.
  void TakeStateFrom(RuleGroup& older);
  // Stale markers for the series of all rules whose state nobody took.
  void End(int64_t t_ms);

  // The last instant of this group's grid at or before now. Groups are spread over the interval by
  // their names.
  int64_t SlotBefore(int64_t now_ms) const;

  std::shared_ptr<const RuleGroupStatus> status() const VEDETTE_EXCLUDES(mu_);
  std::string Key() const { return config_.file + ";" + config_.name; }
  const config::RuleGroupConfig& config() const { return config_; }
  const GroupOptions& options() const { return options_; }

 private:
  RuleGroup(const RuleContext& context, config::RuleGroupConfig config, GroupOptions options)
      : context_(context), config_(std::move(config)), options_(options) {}
  void Publish(double seconds) VEDETTE_EXCLUDES(mu_);

  const RuleContext& context_;
  const config::RuleGroupConfig config_;
  const GroupOptions options_;
  std::vector<std::unique_ptr<Rule>> rules_;
  std::vector<AlertingRule*> alerting_rules_;    // Those of rules_.
  std::vector<RecordingRule*> recording_rules_;  // Likewise.
  // Series of rules that a reload has taken out, until their stale markers are written.
  std::vector<std::unique_ptr<Rule>> departed_;
  int rounds_to_restore_ = 0;
  uint64_t iterations_ = 0, missed_ = 0, evaluations_ = 0, failures_ = 0, samples_written_ = 0;
  int64_t last_evaluation_ms_ = 0;
  double restore_seconds_ = 0;

  mutable Mutex mu_;
  std::shared_ptr<const RuleGroupStatus> status_ VEDETTE_GUARDED_BY(mu_);
};

}  // namespace vedette::ruler
