#include "server/rehearsal/rehearsal.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <tuple>
#include <utility>

#include "common/base/strings.h"
#include "server/alerting/alerting.h"
#include "server/promql/parser/parser.h"
#include "server/promql/parsing.h"
#include "server/rehearsal/condition.h"
#include "server/rehearsal/replay_engine.h"
#include "server/rehearsal/scratch.h"
#include "server/ruler/ruler.h"

namespace vedette::rehearsal {
namespace {

constexpr int64_t kMinWarmUpMs = 10 * 60'000;
constexpr int64_t kMaxWarmUpMs = 24 * 3'600'000;
// Alerts are handed over again so often. Rarer than a server does it: nothing is lost on the way.
constexpr int64_t kResendMs = 15 * 60'000;
constexpr int64_t kMaintenanceMs = 3'600'000;
constexpr uint64_t kMaxMessages = 100'000;

// The names of the series that rules write.
std::set<std::string> Produced(const std::vector<config::RuleGroupConfig>& groups) {
  std::set<std::string> out = {"ALERTS", "ALERTS_FOR_STATE"};
  for (const config::RuleGroupConfig& g : groups) {
    for (const config::RuleConfig& r : g.rules) {
      if (!r.record.empty()) out.insert(r.record);
    }
  }
  return out;
}

// Can every step of this expression be known without running the rules before it?
bool MayReplay(const std::string& text, const std::set<std::string>& produced,
               const promql::ParserOptions& parsing) {
  // @ start() and @ end() mean the ends of the query, which an instant has at itself.
  if (text.find("start()") != std::string::npos || text.find("end()") != std::string::npos) {
    return false;
  }
  const auto expr = promql::ParseExpr(text, parsing);
  if (!expr.ok()) return false;
  for (const promql::VectorSelector* s : promql::Selectors(**expr)) {
    bool named = false;
    for (const Matcher& m : s->matchers) {
      if (m.name() != kMetricNameLabel || m.op() != Matcher::Op::kEqual) continue;
      named = true;
      if (produced.contains(m.value())) return false;
    }
    if (!named) return false;
  }
  return true;
}

int64_t WarmUp(const std::vector<config::RuleGroupConfig>& groups) {
  int64_t longest_ms = 0;
  for (const config::RuleGroupConfig& g : groups) {
    for (const config::RuleConfig& r : g.rules) {
      longest_ms = std::max(longest_ms, r.for_ms + r.keep_firing_for_ms);
    }
  }
  return std::clamp(2 * longest_ms, kMinWarmUpMs, kMaxWarmUpMs);
}

// The alerts that the rules hand over, as spans.
class Firings {
 public:
  void Take(const std::vector<Alert>& alerts, int64_t now_ms) {
    for (const Alert& a : alerts) {
      if (!a.resolved_at(now_ms)) {
        auto [it, fresh] = open_.try_emplace(a.labels);
        if (fresh) it->second = {.labels = a.labels, .fired_at_ms = a.starts_at_ms};
        it->second.annotations = a.annotations;
        continue;
      }
      const auto it = open_.find(a.labels);
      if (it == open_.end()) continue;
      it->second.resolved_at_ms = a.ends_at_ms;
      closed_.push_back(std::move(it->second));
      open_.erase(it);
    }
  }

  std::vector<Firing> Finish(int64_t from_ms) {
    for (auto& [labels, firing] : open_) closed_.push_back(std::move(firing));
    std::erase_if(closed_, [&](const Firing& f) {
      return f.resolved_at_ms != 0 && f.resolved_at_ms < from_ms;
    });
    std::sort(closed_.begin(), closed_.end(), [](const Firing& a, const Firing& b) {
      return std::tie(a.fired_at_ms, a.labels) < std::tie(b.fired_at_ms, b.labels);
    });
    return std::move(closed_);
  }

 private:
  std::map<Labels, Firing> open_;
  std::vector<Firing> closed_;
};

}  // namespace

Result<Report> Rehearse(const Plan& plan, const storage::Queryable& history,
                        const promql::CancelFlag* cancel) {
  if (plan.to_ms <= plan.from_ms) return InvalidArgument("the time must begin before it ends");
  const promql::ParserOptions parsing = promql::ParsingOf(plan.query);
  SteppedClock clock(plan.from_ms - WarmUp(plan.groups));
  const std::set<std::string> produced = Produced(plan.groups);
  ScratchStorage storage(&history, produced);
  promql::EngineOptions query = plan.query;
  query.default_subquery_step_ms = plan.evaluation_interval_ms;
  const std::unique_ptr<promql::Engine> engine = promql::MakeEngine(query, storage, clock);
  ReplayEngine replay(
      *engine, [&](const std::string& text) { return MayReplay(text, produced, parsing); },
      plan.to_ms);

  ScratchKeyValue store;
  Recorder recorder;
  alerting::Alerting alerting(
      {.retention_ms = plan.to_ms, .maintenance_interval_ms = kMaintenanceMs}, store, clock);
  VEDETTE_RETURN_IF_ERROR(alerting.Load());
  Result<std::map<std::string, std::vector<Integration>>> receivers =
      recorder.MakeReceivers(plan.alertmanager, plan.external_url, clock);
  if (!receivers.ok()) return receivers.status();
  VEDETTE_RETURN_IF_ERROR(alerting.Update(plan.alertmanager, *std::move(receivers)));
  for (alerting::Silence s : plan.silences) {
    s.id.clear();
    if (s.ends_at_ms <= clock.NowMs()) continue;
    VEDETTE_RETURN_IF_ERROR(alerting.SetSilence(std::move(s)).status());
  }

  Firings firings;
  ruler::RulerOptions ruling;
  ruling.resend_delay_ms = kResendMs;
  ruling.external_url = plan.external_url;
  ruling.check_expression = [&](const std::string& text) {
    return promql::ParseExpr(text, parsing).status();
  };
  ruling.condition = [&](const std::string& text) { return ConditionOf(text, parsing); };
  Status put;
  ruler::Ruler ruler(ruling, replay, storage, storage, clock, [&](std::vector<Alert> alerts) {
    firings.Take(alerts, clock.NowMs());
    const Status taken = alerting.Put(std::move(alerts));
    if (put.ok()) put = taken;
  });
  ruler::RulerConfig rules;
  rules.groups = plan.groups;
  rules.evaluation_interval_ms = plan.evaluation_interval_ms;
  rules.external_labels = plan.external_labels;
  VEDETTE_RETURN_IF_ERROR(ruler.Update(std::move(rules)));

  while (true) {
    if (cancel != nullptr && cancel->cancelled()) return Cancelled("the rehearsal was cancelled");
    const int64_t next_ms = std::min(ruler.NextDueMs(), alerting.NextDueMs());
    if (next_ms > plan.to_ms) break;
    clock.Set(std::max(next_ms, clock.NowMs()));
    ruler.EvaluateDue();
    alerting.RunDue();
    if (recorder.messages().size() > kMaxMessages) {
      return ResourceExhausted(
          StrCat("over the limit of ", kMaxMessages, " messages: choose a shorter time"));
    }
  }
  VEDETTE_RETURN_IF_ERROR(put);

  Report report;
  report.firings = firings.Finish(plan.from_ms);
  report.messages = std::move(recorder.messages());
  std::erase_if(report.messages, [&](const Message& m) { return m.t_ms < plan.from_ms; });
  for (const auto& group : ruler.Groups()) {
    report.evaluations += group->evaluations;
    for (const ruler::RuleStatus& r : group->rules) {
      if (!r.last_error.empty()) {
        report.errors.push_back({StrCat(group->name, "/", r.name), r.last_error});
      }
    }
  }
  report.queries = replay.queries();
  return report;
}

namespace {

// What `a` has and `b` has not, counted as often as it is there.
template <typename T, typename Key>
std::vector<T> OnlyIn(const std::vector<T>& a, const std::vector<T>& b, Key key) {
  std::map<decltype(key(a[0])), int> in_b;
  for (const T& v : b) ++in_b[key(v)];
  std::vector<T> out;
  for (const T& v : a) {
    if (--in_b[key(v)] < 0) out.push_back(v);
  }
  return out;
}

}  // namespace

Difference Compare(const Report& before, const Report& after) {
  const auto firing = [](const Firing& f) {
    return std::tuple(f.labels, f.fired_at_ms, f.resolved_at_ms);
  };
  const auto message = [](const Message& m) {
    return std::tuple(m.t_ms / 1000, m.receiver, m.integration, m.group_key, m.body);
  };
  return {.firings_gone = OnlyIn(before.firings, after.firings, firing),
          .firings_new = OnlyIn(after.firings, before.firings, firing),
          .messages_gone = OnlyIn(before.messages, after.messages, message),
          .messages_new = OnlyIn(after.messages, before.messages, message)};
}

}  // namespace vedette::rehearsal
