#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/config/rules.h"
#include "common/model/labels.h"
#include "server/promql/engine.h"
#include "server/ruler/group.h"
#include "server/ruler/rule_status.h"
#include "server/storage/appender.h"
#include "server/storage/queryable.h"

namespace vedette::ruler {

// --rules.* and --web.external-url.
struct RulerOptions {
  int64_t for_outage_tolerance_ms = 3'600'000;
  int64_t for_grace_period_ms = 600'000;
  int64_t resend_delay_ms = 60'000;
  int64_t refill_quiet_ms = 30'000;
  int max_concurrent_evals = 4;  // Groups evaluated at the same moment.
  std::string external_url;
  FindCondition condition;
  // Says whether an expression can be read; asked once for each rule of a new configuration.
  std::function<Status(const std::string& expr)> check_expression;
  Events events;
};

// What a load of the configuration says about rules.
struct RulerConfig {
  std::vector<config::RuleGroupConfig> groups;
  int64_t evaluation_interval_ms = 60'000;
  int64_t rule_query_offset_ms = 0;
  Labels external_labels;
};

// Ruler evaluates rule groups, each on its own grid of instants, and hands alerts to the sink.
//
//   Ruler ruler(options, engine, appender, queryable, clock, sink);
//   VEDETTE_RETURN_IF_ERROR(ruler.Update(config));   // Again at each reload.
//   ruler.Start();                                   // Threads "rules 0", "rules 1", ...
//   ...
//   ruler.Stop();                                    // Cancels running queries and joins.
//
// Without Start nothing runs by itself: EvaluateAt does one instant of all groups on the caller's
// thread, which is how unit tests of rules and rehearsals work.
//
// What was given outlives the ruler. Thread-safe. The sink is called without a lock held.
class Ruler {
 public:
  Ruler(RulerOptions options, promql::Engine& engine, storage::Appender& appender,
        const storage::Queryable& queryable, const Clock& clock, AlertSink sink);
  ~Ruler();
  Ruler(const Ruler&) = delete;
  Ruler& operator=(const Ruler&) = delete;

  // All of the configuration or, with an error, none of it. A group that did not change goes on
  // untouched; in one that did, rules of the same name and labels keep their state. The first
  // Update restores `for` from ALERTS_FOR_STATE.
  Status Update(RulerConfig config) VEDETTE_EXCLUDES(mu_);

  // Says what Update would, and changes nothing.
  Status Check(const RulerConfig& config) const;

  void Start() VEDETTE_EXCLUDES(mu_);
  void Stop() VEDETTE_EXCLUDES(mu_);

  // Samples of this time have come in late, from an agent that was cut off. Recording rules are
  // evaluated again for such times once nothing more has come for refill_quiet_ms.
  void FilledIn(int64_t t_ms) VEDETTE_EXCLUDES(mu_);

  // One instant of every group (in order of file and name), without regard to intervals.
  void EvaluateAt(int64_t t_ms) VEDETTE_EXCLUDES(mu_);
  // Every group whose next instant has come by now; what the threads do, on the caller's thread.
  void EvaluateDue() VEDETTE_EXCLUDES(mu_);
  // When the next group is due; INT64_MAX without groups.
  int64_t NextDueMs() const VEDETTE_EXCLUDES(mu_);

  // In order of file and name.
  std::vector<std::shared_ptr<const RuleGroupStatus>> Groups() const VEDETTE_EXCLUDES(mu_);
  // As they were given, likewise.
  std::vector<config::RuleGroupConfig> Configs() const VEDETTE_EXCLUDES(mu_);
  // Pending and firing, of all groups.
  std::vector<ActiveAlert> Alerts() const;

 private:
  struct Slot {
    std::unique_ptr<RuleGroup> group;
    int64_t next_t_ms = 0;  // The instant that is evaluated next.
    bool running = false;
    // To be evaluated again; empty when from is over to.
    int64_t refill_from_ms = 0;
    int64_t refill_to_ms = -1;
  };

  Status CheckExpressions(const RulerConfig& config) const;
  GroupOptions OptionsFor(const config::RuleGroupConfig& group, const RulerConfig& config,
                          bool should_restore) const;
  // The group that is most overdue, or null; `wait_ms` then says how long nothing is due.
  Slot* TakeDue(int64_t now_ms, int64_t& wait_ms) VEDETTE_REQUIRES(mu_);
  void RunSlot(Slot& slot, int64_t now_ms) VEDETTE_EXCLUDES(mu_);
  void RefillSlot(Slot& slot) VEDETTE_EXCLUDES(mu_);
  void Work() VEDETTE_EXCLUDES(mu_);

  const RulerOptions options_;
  promql::Engine& engine_;
  storage::Appender& appender_;
  const storage::Queryable& queryable_;
  const Clock& clock_;
  const AlertSink sink_;
  promql::CancelFlag cancel_;

  mutable Mutex mu_;
  CondVar changed_;
  // Groups hold a reference to their context; a new one is made when external labels change.
  std::shared_ptr<const RuleContext> context_ VEDETTE_GUARDED_BY(mu_);
  std::vector<std::unique_ptr<Slot>> slots_ VEDETTE_GUARDED_BY(mu_);
  int64_t filled_in_ns_ VEDETTE_GUARDED_BY(mu_) = 0;  // When FilledIn was called last.
  bool loaded_once_ VEDETTE_GUARDED_BY(mu_) = false;
  bool updating_ VEDETTE_GUARDED_BY(mu_) = false;
  bool stopping_ VEDETTE_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace vedette::ruler
