#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/config/rules.h"
#include "common/model/alert.h"
#include "common/model/labels.h"
#include "server/promql/engine.h"
#include "server/ruler/rule_output.h"
#include "server/ruler/rule_status.h"
#include "server/storage/appender.h"
#include "server/storage/queryable.h"
#include "server/template/prometheus_functions.h"
#include "server/template/template.h"
#include "server/template/value.h"

namespace vedette::ruler {

// What an alerting expression measures: `rate(errors[5m]) > 1` measures rate(errors[5m]).
struct AlertCondition {
  std::string measured;         // PromQL.
  bool lower_is_worse = false;  // It fires below a limit.
};
// Nothing for an expression without a limit.
using FindCondition = std::function<std::optional<AlertCondition>(const std::string& expr)>;

// What Query::origin of a rule's expression begins with; its name and group follow.
inline constexpr std::string_view kRuleOrigin = "rule ";

// What rules do, told to whoever counts it. Called by the threads that evaluate, several at a time;
// each may be empty.
struct Events {
  std::function<void(double seconds)> rule_ran;   // Whatever came of it.
  std::function<void(double seconds)> group_ran;  // All rules of a group, at one instant.
  std::function<void(bool ok)> template_expanded;
};

// What every rule needs from outside. Referred to, never owned; lives as long as the ruler.
struct RuleContext {
  promql::Engine& engine;
  storage::Appender& appender;
  const storage::Queryable& queryable;
  const Clock& clock;
  const promql::CancelFlag* cancel = nullptr;
  std::string external_url;
  Labels external_labels;
  FindCondition condition;  // May be empty: evidence then knows no value at the end.
  Events events;
};

// One rule of a group with its state. Evaluated by one thread at a time, under its group.
class Rule {
 public:
  virtual ~Rule() = default;

  // Asks the expression at `t_ms`, moves the state and writes the series of this instant. The
  // status of the outcome is kept for status().
  Status Evaluate(int64_t t_ms, int64_t limit);

  virtual RuleStatus status() const = 0;
  uint64_t samples_written() const { return samples_written_; }
  // Whether all that went wrong in an evaluation of `t_ms` is that the storage refused its series.
  bool only_refused(int64_t t_ms) const { return refused_t_ms_ == t_ms; }

  // Name and labels: the rule after a reload that goes on where this one was.
  std::string Identity() const;
  virtual void TakeStateFrom(Rule& older);
  // Stale markers for all its series: it is not coming back.
  Status End(int64_t t_ms) { return output_.End(t_ms); }

  const config::RuleConfig& config() const { return config_; }

 protected:
  static constexpr int64_t kNever = INT64_MIN;

  Rule(const RuleContext& context, config::RuleConfig config, Labels labels,
       const std::string& group);

  // From the answer to the samples to write.
  virtual Result<std::vector<OutputSample>> Interpret(int64_t t_ms, int64_t limit,
                                                      promql::Vector answer) = 0;
  RuleStatus BaseStatus() const;

  const RuleContext& context_;
  config::RuleConfig config_;
  Labels labels_;  // The group's and the rule's own, as written.
  std::string origin_;  // Who asks, in the list of running queries.
  RuleOutput output_;
  uint64_t samples_written_ = 0;
  int64_t refused_t_ms_ = kNever;  // The last evaluation whose series the storage refused.
  RuleHealth health_ = RuleHealth::kUnknown;
  std::string last_error_;
  double evaluation_seconds_ = 0;
  int64_t last_evaluation_ms_ = 0;
};

class RecordingRule final : public Rule {
 public:
  RecordingRule(const RuleContext& context, config::RuleConfig config, Labels labels,
                const std::string& group)
      : Rule(context, std::move(config), std::move(labels), group) {}

  RuleStatus status() const override;

  // Writes what the expression gives at an instant of the past, because samples have come in since:
  // series that have a value there already keep it. Gives how many were written. EndRefill follows
  // the last instant.
  Result<uint64_t> Refill(int64_t t_ms, int64_t limit);
  void EndRefill();

 private:
  Result<std::vector<OutputSample>> Interpret(int64_t t_ms, int64_t limit,
                                              promql::Vector answer) override;

  // Of the refill that is running.
  std::unique_ptr<storage::TimelineWriter> filler_;
  std::map<Labels, uint32_t> filler_places_;
};

struct RestoreOptions {
  int64_t outage_tolerance_ms = 3'600'000;
  int64_t grace_period_ms = 600'000;
};

// An alerting rule: each label set that the expression gives is an alert of its own, which is
// pending until the condition has held for `for`, then firing until it is gone (and
// `keep_firing_for` is over), then resolved. While the storage refuses samples nothing resolves: what
// is missing then has not been stored, which says nothing about whether it is well.
class AlertingRule final : public Rule {
 public:
  // kInvalidArgument when a template cannot be read.
  static Result<std::unique_ptr<AlertingRule>> Make(const RuleContext& context,
                                                    config::RuleConfig config, Labels labels,
                                                    const std::string& group, bool restored);

  RuleStatus status() const override;
  void TakeStateFrom(Rule& older) override;

  // Sets back when each active alert began, from the ALERTS_FOR_STATE that a run before this one
  // stored: time spent pending before an outage counts, the outage itself does not.
  Status Restore(int64_t t_ms, const RestoreOptions& options);
  bool restored() const { return restored_; }

  // Alerts that should be told now: newly firing or resolved, or not told for `resend_delay_ms`.
  std::vector<Alert> TakeDue(int64_t t_ms, int64_t resend_delay_ms, int64_t interval_ms);

 private:
  struct ActiveEntry {
    Labels labels;
    Labels annotations;
    Labels source;  // Of the series that it came from, without its name.
    AlertEvidence evidence;
    AlertState state = AlertState::kPending;
    double value = 0;
    int64_t active_at_ms = 0;
    int64_t fired_at_ms = 0;
    int64_t resolved_at_ms = 0;
    int64_t last_sent_ms = 0;
    int64_t keep_firing_since_ms = 0;
    uint64_t round = 0;  // The last evaluation that found it.
  };
  using TemplateList = std::vector<std::pair<std::string, tmpl::Template>>;

  AlertingRule(const RuleContext& context, config::RuleConfig config, Labels labels,
               const std::string& group, bool restored);
  Result<std::vector<OutputSample>> Interpret(int64_t t_ms, int64_t limit,
                                              promql::Vector answer) override;
  // The value of each alert that ended at t_ms, where its series still has one.
  void MeasureEnds(int64_t t_ms, const std::vector<ActiveEntry*>& ended);
  std::string GraphUrl(int64_t t_ms) const;
  Status PrepareTemplates();
  Result<std::vector<tmpl::QuerySample>> TemplateQuery(const std::string& query) const;
  Labels ForStateLabels(const Labels& alert) const;

  std::shared_ptr<const tmpl::FunctionMap> functions_;
  TemplateList label_templates_;
  TemplateList annotation_templates_;
  tmpl::Value external_labels_value_;
  std::optional<AlertCondition> condition_;
  std::map<Labels, ActiveEntry> active_;  // Resolved ones too, for 15 minutes.
  bool restored_ = true;
  uint64_t round_ = 0;
  int64_t now_ms_ = 0;  // Of the running evaluation: the templates' queries use it.
};

}  // namespace vedette::ruler
