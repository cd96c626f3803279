#include "server/ruler/group.h"

#include <algorithm>
#include <map>
#include <utility>

#include "common/base/strings.h"

namespace vedette::ruler {
namespace {

// The state of `for` is looked up after the second evaluation: the first one may find that little
// has been scraped yet.
constexpr int kRoundsBeforeRestore = 2;

uint64_t Fnv1a(std::string_view text) {
  uint64_t h = 14695981039346656037u;
  for (unsigned char c : text) h = (h ^ c) * 1099511628211u;
  return h;
}

}  // namespace

Result<std::unique_ptr<RuleGroup>> RuleGroup::Make(const RuleContext& context,
                                                   config::RuleGroupConfig config,
                                                   GroupOptions options) {
  if (options.interval_ms <= 0) {
    return InvalidArgument(StrCat(config.file, ":", config.line, ": group ", Quoted(config.name),
                                  ": the interval must be over 0"));
  }
  std::unique_ptr<RuleGroup> group(new RuleGroup(context, std::move(config), options));
  for (config::RuleConfig rule : group->config_.rules) {
    const std::string where = StrCat(group->config_.file, ":", rule.line, ": group ",
                                     Quoted(group->config_.name), ", rule ", Quoted(rule.name()));
    for (const auto& [name, value] : group->config_.labels) rule.labels.emplace(name, value);
    LabelsBuilder labels;
    for (const auto& [name, value] : rule.labels) labels.Set(name, value);
    if (!rule.record.empty()) {
      auto recording =
          std::make_unique<RecordingRule>(context, std::move(rule), labels.Build(), group->Key());
      group->recording_rules_.push_back(recording.get());
      group->rules_.push_back(std::move(recording));
      continue;
    }
    Result<std::unique_ptr<AlertingRule>> alerting = AlertingRule::Make(
        context, std::move(rule), labels.Build(), group->Key(), !options.should_restore);
    if (!alerting.ok()) {
      return alerting.status().Annotate(where);
    }
    group->alerting_rules_.push_back(alerting->get());
    group->rules_.push_back(*std::move(alerting));
  }
  group->rounds_to_restore_ = options.should_restore ? kRoundsBeforeRestore : 0;
  group->Publish(0);
  return group;
}

void RuleGroup::Evaluate(int64_t t_ms, uint64_t missed, const AlertSink& sink) {
  const int64_t started_ns = context_.clock.MonotonicNs();
  const int64_t query_t_ms = t_ms - options_.query_offset_ms;
  ++iterations_;
  missed_ += missed;
  samples_written_ = 0;
  last_evaluation_ms_ = t_ms;
  for (const auto& rule : std::exchange(departed_, {})) {
    (void)rule->End(query_t_ms);  // Best effort: without the marker they end after the lookback.
  }
  std::vector<Alert> due;
  size_t next_alerting = 0;
  for (const auto& rule : rules_) {
    if (context_.cancel != nullptr && context_.cancel->cancelled()) return;
    AlertingRule* alerting =
        next_alerting < alerting_rules_.size() && alerting_rules_[next_alerting] == rule.get()
            ? alerting_rules_[next_alerting++]
            : nullptr;
    ++evaluations_;
    const Status outcome = rule->Evaluate(query_t_ms, config_.limit);
    samples_written_ += rule->samples_written();
    if (!outcome.ok()) {
      if (outcome.code() != StatusCode::kCancelled) ++failures_;
      // A disk that is full keeps nobody from being told.
      if (!rule->only_refused(query_t_ms)) continue;
    }
    if (alerting == nullptr) continue;
    std::vector<Alert> alerts =
        alerting->TakeDue(query_t_ms, options_.resend_delay_ms, options_.interval_ms);
    std::move(alerts.begin(), alerts.end(), std::back_inserter(due));
  }
  if (rounds_to_restore_ > 0 && --rounds_to_restore_ == 0) {
    const int64_t restoring_ns = context_.clock.MonotonicNs();
    for (AlertingRule* rule : alerting_rules_) {
      if (!rule->Restore(query_t_ms, options_.restore).ok()) ++failures_;
    }
    restore_seconds_ = static_cast<double>(context_.clock.MonotonicNs() - restoring_ns) / 1e9;
  }
  const double seconds = static_cast<double>(context_.clock.MonotonicNs() - started_ns) / 1e9;
  if (context_.events.group_ran) context_.events.group_ran(seconds);
  Publish(seconds);
  if (!due.empty()) sink(std::move(due));
}

int64_t RuleGroup::Refill(int64_t from_ms, int64_t to_ms, int instants) {
  if (recording_rules_.empty()) return to_ms + 1;
  int64_t t_ms = SlotBefore(from_ms);
  if (t_ms < from_ms) t_ms += options_.interval_ms;
  // What has not been evaluated yet is not missing.
  const int64_t end_ms = std::min(to_ms, last_evaluation_ms_);
  for (; t_ms <= end_ms && instants > 0; t_ms += options_.interval_ms, --instants) {
    if (context_.cancel != nullptr && context_.cancel->cancelled()) return to_ms + 1;
    for (RecordingRule* rule : recording_rules_) {
      if (!rule->Refill(t_ms - options_.query_offset_ms, config_.limit).ok()) ++failures_;
    }
  }
  if (t_ms <= end_ms) return t_ms;
  for (RecordingRule* rule : recording_rules_) rule->EndRefill();
  return to_ms + 1;
}

void RuleGroup::TakeStateFrom(RuleGroup& older) {
  // The same name and labels may stand twice: they are paired in order.
  std::multimap<std::string, std::unique_ptr<Rule>*> before;
  for (auto& rule : older.rules_) before.emplace(rule->Identity(), &rule);
  for (auto& rule : rules_) {
    auto it = before.lower_bound(rule->Identity());
    if (it == before.end() || it->first != rule->Identity()) continue;
    rule->TakeStateFrom(**it->second);
    it->second->reset();
    before.erase(it);
  }
  for (auto& rule : older.rules_) {
    if (rule != nullptr) departed_.push_back(std::move(rule));
  }
  older.rules_.clear();
  older.alerting_rules_.clear();
  older.recording_rules_.clear();
  rounds_to_restore_ = older.rounds_to_restore_;
  iterations_ = older.iterations_;
  missed_ = older.missed_;
  evaluations_ = older.evaluations_;
  failures_ = older.failures_;
  restore_seconds_ = older.restore_seconds_;
  last_evaluation_ms_ = older.last_evaluation_ms_;
  Publish(0);
}

void RuleGroup::End(int64_t t_ms) {
  for (const auto& rule : rules_) (void)rule->End(t_ms);  // Best effort, as above.
}

int64_t RuleGroup::SlotBefore(int64_t now_ms) const {
  const int64_t interval = options_.interval_ms;
  const auto offset = static_cast<int64_t>(Fnv1a(Key()) % static_cast<uint64_t>(interval));
  const int64_t since = (now_ms - offset) % interval;
  return now_ms - (since < 0 ? since + interval : since);
}

void RuleGroup::Publish(double seconds) {
  auto status = std::make_shared<RuleGroupStatus>();
  status->name = config_.name;
  status->file = config_.file;
  status->interval_ms = options_.interval_ms;
  status->limit = config_.limit;
  status->evaluation_seconds = seconds;
  status->last_evaluation_ms = last_evaluation_ms_;
  status->iterations = iterations_;
  status->iterations_missed = missed_;
  status->evaluations = evaluations_;
  status->evaluation_failures = failures_;
  status->samples_written = samples_written_;
  status->restore_seconds = restore_seconds_;
  for (const auto& rule : rules_) status->rules.push_back(rule->status());
  MutexLock lock(mu_);
  status_ = std::move(status);
}

std::shared_ptr<const RuleGroupStatus> RuleGroup::status() const {
  MutexLock lock(mu_);
  return status_;
}

}  // namespace vedette::ruler
