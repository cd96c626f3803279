#include "server/rehearsal/rule_test.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "common/base/strings.h"
#include "common/config/rules.h"
#include "common/model/duration.h"
#include "server/promql/engine.h"
#include "server/promql/parser/parser.h"
#include "server/rehearsal/scratch.h"
#include "server/rehearsal/series_text.h"
#include "server/ruler/group.h"

namespace vedette::rehearsal {
namespace {

constexpr double kFuzz = 1e-15;  // Relative, as promtool's fuzzy_compare.

Labels LabelsOf(const std::map<std::string, std::string>& map) {
  LabelsBuilder b;
  for (const auto& [name, value] : map) b.Set(name, value);
  return b.Build();
}

bool SameValue(double a, double b, bool fuzzy) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  if (a == b || !fuzzy) return a == b;
  const double difference = std::abs(a - b);
  return difference <= kFuzz * std::max(std::abs(a), std::abs(b)) || difference < 1e-300;
}

// An alert as it is compared and shown.
struct Seen {
  Labels labels;
  Labels annotations;
  auto operator<=>(const Seen&) const = default;

  std::string ToString() const {
    return StrCat("Labels:", labels.ToString(), " Annotations:", annotations.ToString());
  }
};

std::string Show(const std::vector<Seen>& alerts) {
  if (alerts.empty()) return "[]";
  std::string out = "[";
  for (size_t i = 0; i < alerts.size(); ++i) {
    StrAppend(out, i == 0 ? "" : "", "\n            ", i, ": ", alerts[i].ToString());
  }
  return out + "\n        ]";
}

// One test of a file: its series, its rules, its questions.
class Run {
 public:
  Run(const config::RuleTestFile& file, const config::RuleTestGroup& test)
      : file_(file),
        test_(test),
        clock_(test.start_ms),
        engine_(promql::MakeEngine(
            {.default_subquery_step_ms = test.interval_ms, .experimental_functions = true},
            storage_, clock_)),
        context_{*engine_,
                 storage_,
                 storage_,
                 clock_,
                 nullptr,
                 test.external_url,
                 LabelsOf(test.external_labels)} {}

  std::vector<std::string> Execute() {
    if (const Status s = Load(); !s.ok()) return {std::string(s.message())};
    int64_t end_ms = 0;
    for (const auto& t : test_.alert_tests) end_ms = std::max(end_ms, t.eval_time_ms);
    for (const auto& t : test_.expr_tests) end_ms = std::max(end_ms, t.eval_time_ms);
    const int64_t interval_ms = file_.evaluation_interval_ms;
    for (int64_t at_ms = 0; at_ms <= end_ms; at_ms += interval_ms) {
      clock_.Set(test_.start_ms + at_ms);
      for (const auto& group : groups_) {
        group->Evaluate(test_.start_ms + at_ms, 0, [](std::vector<Alert>) {});
        for (const ruler::RuleStatus& rule : group->status()->rules) {
          if (rule.last_error.empty() || !told_.insert(rule.name + rule.last_error).second)
            continue;
          Fail(StrCat("rule: ", rule.name, ", time: ", FormatDuration(at_ms),
                      ", err: ", rule.last_error));
        }
      }
      for (const config::AlertRuleTest& t : test_.alert_tests) {
        if (t.eval_time_ms >= at_ms && t.eval_time_ms < at_ms + interval_ms) CheckAlerts(t);
      }
    }
    for (const config::ExprTest& t : test_.expr_tests) CheckExpr(t);
    return std::move(failures_);
  }

 private:
  Status Load() {
    for (const config::InputSeries& in : test_.input) {
      Result<promql::ScriptSeries> series =
          promql::ParseSeriesLine(StrCat(in.series, " ", in.values));
      if (!series.ok()) return series.status().Annotate(StrCat(file_.file, ":", in.line));
      int64_t t_ms = test_.start_ms;
      for (const promql::ScriptValue& v : series->values) {
        if (v.histogram != nullptr) {
          storage_.memory().Add(series->labels, t_ms, v.histogram);
        } else if (!v.absent) {
          storage_.memory().Add(series->labels, t_ms, v.value);
        }
        t_ms += test_.interval_ms;
      }
    }
    for (const std::string& path : file_.rule_files) {
      VEDETTE_ASSIGN_OR_RETURN(config::RuleFileConfig rules, config::LoadRuleFile(path));
      for (config::RuleGroupConfig& group : rules.groups) {
        for (const config::RuleConfig& rule : group.rules) {
          const Status parsed =
              promql::ParseExpr(rule.expr, {.experimental_functions = true}).status();
          if (!parsed.ok()) {
            return parsed.Annotate(StrCat(path, ":", rule.expr_line, ":", rule.expr_column,
                                          ": rule ", Quoted(rule.name())));
          }
        }
        const ruler::GroupOptions options{
            .interval_ms = group.interval_ms.value_or(test_.interval_ms),
            .query_offset_ms = group.query_offset_ms.value_or(0)};
        Result<std::unique_ptr<ruler::RuleGroup>> made =
            ruler::RuleGroup::Make(context_, std::move(group), options);
        if (!made.ok()) return made.status();
        groups_.push_back(*std::move(made));
      }
    }
    const auto place = [&](const std::string& name) {
      const auto& order = file_.group_eval_order;
      const auto found = std::find(order.begin(), order.end(), name);
      return found == order.end() ? order.size() : static_cast<size_t>(found - order.begin());
    };
    std::stable_sort(groups_.begin(), groups_.end(), [&](const auto& a, const auto& b) {
      return place(a->config().name) < place(b->config().name);
    });
    return {};
  }

  void CheckAlerts(const config::AlertRuleTest& t) {
    std::vector<Seen> want, got;
    for (const config::ExpectedAlert& e : t.expected) {
      LabelsBuilder labels(LabelsOf(e.labels));
      labels.Set("alertname", t.alertname);
      want.push_back({labels.Build(), LabelsOf(e.annotations)});
    }
    bool exists = false;
    for (const auto& group : groups_) {
      if (!t.groupname.empty() && group->config().name != t.groupname) continue;
      for (const ruler::RuleStatus& rule : group->status()->rules) {
        if (!rule.alerting || rule.name != t.alertname) continue;
        exists = true;
        for (const ruler::ActiveAlert& a : rule.alerts) {
          if (a.state == ruler::AlertState::kFiring) got.push_back({a.labels, a.annotations});
        }
      }
    }
    std::sort(want.begin(), want.end());
    std::sort(got.begin(), got.end());
    if (want == got) return;
    Fail(StrCat("alertname: ", t.alertname, ", time: ", FormatDuration(t.eval_time_ms), " (line ",
                t.line, "),", exists ? "" : " no rule of this name,", "\n        exp:", Show(want),
                "\n        got:", Show(got)));
  }

  void CheckExpr(const config::ExprTest& t) {
    const int64_t t_ms = test_.start_ms + t.eval_time_ms;
    clock_.Set(t_ms);
    const auto fail = [&](std::string_view what) {
      Fail(StrCat("expr: ", Quoted(t.expr), ", time: ", FormatDuration(t.eval_time_ms), " (line ",
                  t.line, "),", what));
    };
    Result<promql::QueryAnswer> answer =
        engine_->Run({.text = t.expr, .start_ms = t_ms, .end_ms = t_ms}, nullptr);
    if (!answer.ok()) return fail(StrCat(" err: ", answer.status().message()));
    std::vector<std::pair<Labels, promql::Point>> got;
    if (auto* vector = std::get_if<promql::Vector>(&answer->value)) {
      for (promql::VectorSample& s : *vector) got.emplace_back(s.metric, s.point);
    } else if (auto* scalar = std::get_if<promql::Scalar>(&answer->value)) {
      got.push_back({Labels(), {.t_ms = t_ms, .value = scalar->value}});
    } else {
      return fail(" err: a test needs a vector or a scalar");
    }
    std::vector<std::pair<Labels, promql::ScriptValue>> want;
    for (const config::ExpectedSample& e : t.expected) {
      Result<promql::ScriptSeries> parsed = promql::ParseSeriesLine(
          StrCat(e.labels.empty() ? "{}" : e.labels, " ", e.histogram.empty() ? "0" : e.histogram));
      if (!parsed.ok() || parsed->values.size() != 1) {
        return fail(StrCat(" exp_samples: cannot read ", Quoted(e.labels), " ", e.histogram));
      }
      promql::ScriptValue value = parsed->values[0];
      if (e.histogram.empty()) value.value = e.value;
      want.emplace_back(parsed->labels, value);
    }
    const auto by_labels = [](const auto& a, const auto& b) { return a.first < b.first; };
    std::stable_sort(got.begin(), got.end(), by_labels);
    std::stable_sort(want.begin(), want.end(), by_labels);
    bool same = got.size() == want.size();
    for (size_t i = 0; same && i < got.size(); ++i) {
      const auto& h = got[i].second.histogram;
      const auto& w = want[i].second.histogram;
      same = got[i].first == want[i].first && (h == nullptr) == (w == nullptr) &&
             (h != nullptr
                  ? SameHistogram(*h, *w)
                  : SameValue(got[i].second.value, want[i].second.value, file_.fuzzy_compare));
    }
    if (same) return;
    std::string text = "\n        exp:";
    for (const auto& [labels, v] : want)
      StrAppend(text, " ", labels.ToString(), " ", Text(v.value, v.histogram.get()));
    text += "\n        got:";
    for (const auto& [labels, p] : got)
      StrAppend(text, " ", labels.ToString(), " ", Text(p.value, p.histogram.get()));
    fail(text);
  }

  static bool SameHistogram(const Histogram& a, const Histogram& b) {
    return a.schema == b.schema && a.count == b.count && a.sum == b.sum &&
           a.zero_count == b.zero_count && a.positive_buckets == b.positive_buckets &&
           a.negative_buckets == b.negative_buckets;
  }
  static std::string Text(double value, const Histogram* h) {
    return h == nullptr ? StrCat(value) : StrCat("{{count:", h->count, " sum:", h->sum, "}}");
  }

  void Fail(std::string what) { failures_.push_back(std::move(what)); }

  const config::RuleTestFile& file_;
  const config::RuleTestGroup& test_;
  SteppedClock clock_;
  ScratchStorage storage_{nullptr};
  const std::unique_ptr<promql::Engine> engine_;
  const ruler::RuleContext context_;
  std::vector<std::unique_ptr<ruler::RuleGroup>> groups_;
  std::set<std::string> told_;
  std::vector<std::string> failures_;
};

}  // namespace

Result<std::vector<RuleTestResult>> RunRuleTests(const config::RuleTestFile& file) {
  for (const std::string& path : file.rule_files) {
    VEDETTE_RETURN_IF_ERROR(config::LoadRuleFile(path).status());
  }
  std::vector<RuleTestResult> out;
  for (size_t i = 0; i < file.tests.size(); ++i) {
    RuleTestResult& result = out.emplace_back();
    result.name = file.tests[i].name.empty() ? StrCat("test ", i) : file.tests[i].name;
    result.failures = Run(file, file.tests[i]).Execute();
  }
  return out;
}

}  // namespace vedette::rehearsal
