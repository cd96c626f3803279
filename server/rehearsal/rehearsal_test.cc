#include "server/rehearsal/rehearsal.h"

#include <gtest/gtest.h>

#include <string>

#include "server/rehearsal/condition.h"
#include "server/rehearsal/memory_storage.h"
#include "server/rehearsal/rule_test.h"

namespace vedette::rehearsal {
namespace {

constexpr int64_t kMinute = 60'000;
constexpr int64_t kStart = 1'700'000'000'000 / kMinute * kMinute;
constexpr std::string_view kAlertmanager = R"(
route:
  receiver: team
  group_by: [alertname]
  group_wait: 30s
  group_interval: 1m
receivers:
  - name: team
    webhook_configs: [{url: 'http://hook.example.com/SECRETPATH'}]
    pagerduty_configs: [{routing_key: 'PDSECRET0123456789'}]
)";
constexpr std::string_view kRules = R"(
groups:
  - name: g
    interval: 1m
    rules:
      - record: twice
        expr: m * 2
      - alert: High
        expr: m > 5
        for: 2m
        annotations: {summary: 'm is {{ $value }}'}
      - alert: TwiceHigh
        expr: twice > 10
      - alert: Broken
        expr: m / on() group_left() {__name__=~"m|n"}
)";

class RehearsalTest : public ::testing::Test {
 protected:
  // An hour of m, high from minute 20 to minute 30.
  RehearsalTest() {
    for (int i = -60; i < 60; ++i) {
      const double v = i >= 20 && i < 30 ? 9 : 1;
      history_.Add(Labels::Of({{"__name__", "m"}, {"instance", "a"}}), kStart + i * kMinute, v);
      history_.Add(Labels::Of({{"__name__", "n"}, {"instance", "a"}}), kStart + i * kMinute, v);
      // What a server once stored under the rule's name must not be read.
      history_.Add(Labels::Of({{"__name__", "twice"}, {"instance", "a"}}), kStart + i * kMinute,
                   100);
    }
  }
  Plan MakePlan(std::string_view rules, std::string_view alertmanager) {
    Plan plan{.from_ms = kStart, .to_ms = kStart + 59 * kMinute};
    auto groups = config::ParseRuleFile(rules, "r.yml");
    EXPECT_TRUE(groups.ok()) << groups.status().ToString();
    plan.groups = groups->groups;
    auto am = config::ParseAlertmanagerConfig(alertmanager, "am.yml");
    EXPECT_TRUE(am.ok()) << am.status().ToString();
    plan.alertmanager = *am;
    return plan;
  }
  Report Run(const Plan& plan) {
    Result<Report> report = Rehearse(plan, history_, nullptr);
    EXPECT_TRUE(report.ok()) << report.status().ToString();
    return report.ok() ? *report : Report();
  }

  MemoryStorage history_;
};

TEST_F(RehearsalTest, ItTellsWhatWouldHaveFiredAndWhatWouldHaveBeenSent) {
  const Report report = Run(MakePlan(kRules, kAlertmanager));
  ASSERT_EQ(report.firings.size(), 2u);
  const Firing& twice = report.firings[0];
  EXPECT_EQ(twice.labels.Get("alertname"), "TwiceHigh");
  EXPECT_GE(twice.fired_at_ms, kStart + 20 * kMinute);
  EXPECT_LT(twice.fired_at_ms, kStart + 21 * kMinute);
  const Firing& high = report.firings[1];
  EXPECT_EQ(high.labels.Get("alertname"), "High");
  EXPECT_EQ(high.fired_at_ms - twice.fired_at_ms, 2 * kMinute) << "its for";
  EXPECT_EQ(high.resolved_at_ms - twice.fired_at_ms, 10 * kMinute);
  EXPECT_EQ(high.annotations.Get("summary"), "m is 9");
  // Two alerts, two integrations, firing and resolved.
  ASSERT_EQ(report.messages.size(), 8u);
  EXPECT_EQ(report.messages[0].receiver, "team");
  EXPECT_NE(report.messages[0].body.find("TwiceHigh"), std::string::npos);
  for (const Message& m : report.messages) {
    EXPECT_EQ(m.body.find("PDSECRET"), std::string::npos) << "secrets stay here";
  }
  ASSERT_EQ(report.errors.size(), 1u);
  EXPECT_EQ(report.errors[0].rule, "g/Broken");
  EXPECT_NE(ReportJson(report).find("\"resolvedAt\""), std::string::npos);
}

TEST_F(RehearsalTest, IndependentRulesTakeFewQueries) {
  const Report report = Run(MakePlan(R"(
groups: [{name: g, interval: 10s, rules: [{alert: High, expr: m > 5}]}]
)",
                                     kAlertmanager));
  EXPECT_GT(report.evaluations, 350u);
  EXPECT_LT(report.queries, 10u);
  EXPECT_EQ(report.firings.size(), 1u);
}

TEST_F(RehearsalTest, OneExpressionInManyRulesTakesFewQueriesToo) {
  // Twice in a group, and in groups whose instants are others.
  const Report report = Run(MakePlan(R"(
groups:
  - {name: a, interval: 1m, rules: [{alert: A, expr: m > 5}, {alert: B, expr: m > 5}]}
  - {name: b, interval: 1m, rules: [{alert: A, expr: m > 5}, {alert: A, expr: m > 5}]}
  - {name: c, interval: 30s, rules: [{alert: C, expr: m > 5, for: 2m}]}
)",
                                     kAlertmanager));
  EXPECT_EQ(report.firings.size(), 3u);  // The four with equal labels are one alert each.
  EXPECT_LT(report.queries, 25u);
}

TEST_F(RehearsalTest, TwoVersionsDifferWhereTheyDiffer) {
  const Report before = Run(MakePlan(kRules, kAlertmanager));
  std::string rules(kRules);
  rules.replace(rules.find("for: 2m"), 7, "for: 4m");
  const Report after = Run(MakePlan(rules, kAlertmanager));
  const Difference d = Compare(before, after);
  ASSERT_EQ(d.firings_gone.size(), 1u);
  ASSERT_EQ(d.firings_new.size(), 1u);
  EXPECT_EQ(d.firings_new[0].fired_at_ms - d.firings_gone[0].fired_at_ms, 2 * kMinute);
  EXPECT_EQ(d.messages_gone.size(), d.messages_new.size());
  const Difference none = Compare(before, before);
  EXPECT_TRUE(none.firings_gone.empty() && none.messages_new.empty());
  EXPECT_NE(DifferenceJson(d).find("alertsOnlyAfter"), std::string::npos);
}

TEST_F(RehearsalTest, SilencesHoldBackMessagesButNotAlerts) {
  Plan plan = MakePlan(kRules, kAlertmanager);
  plan.silences.push_back({.matchers = {Matcher::Equal("alertname", "High")},
                           .starts_at_ms = kStart - kMinute,
                           .ends_at_ms = kStart + 600 * kMinute});
  const Report report = Run(plan);
  EXPECT_EQ(report.firings.size(), 2u);
  EXPECT_EQ(report.messages.size(), 4u);
}

TEST_F(RehearsalTest, ABadQuestionIsRefused) {
  Plan plan = MakePlan(kRules, kAlertmanager);
  std::swap(plan.from_ms, plan.to_ms);
  EXPECT_EQ(Rehearse(plan, history_, nullptr).status().code(), StatusCode::kInvalidArgument);
  plan = MakePlan(kRules, kAlertmanager);
  plan.groups[0].rules[0].expr = "m +";
  EXPECT_EQ(Rehearse(plan, history_, nullptr).status().code(), StatusCode::kInvalidArgument);
  promql::CancelFlag cancel;
  cancel.Cancel();
  EXPECT_EQ(Rehearse(MakePlan(kRules, kAlertmanager), history_, &cancel).status().code(),
            StatusCode::kCancelled);
}

TEST_F(RehearsalTest, MessagesCanCarryEvidence) {
  const Report report = Run(MakePlan(R"(
groups: [{name: g, interval: 1m, rules: [{alert: High, expr: m > 5}]}]
)",
                                     R"(
route: {receiver: team, group_wait: 0s, group_interval: 1m}
receivers:
  - name: team
    webhook_configs:
      - url: http://hook.example.com/
        payload:
          fire: '{{ (index .Alerts 0).Evidence.AtFire }}'
          worst: '{{ (index .Alerts 0).Evidence.Worst }}'
          resolve: '{{ (index .Alerts 0).Evidence.AtResolve }}'
          graph: '{{ (index .Alerts 0).Evidence.GraphURL }}'
)"));
  ASSERT_EQ(report.messages.size(), 2u);
  EXPECT_NE(report.messages[0].body.find(R"("fire":"9","worst":"9","resolve":"")"),
            std::string::npos)
      << report.messages[0].body;
  EXPECT_NE(report.messages[1].body.find(R"("resolve":"1")"), std::string::npos)
      << report.messages[1].body;
  EXPECT_NE(report.messages[1].body.find("/graph?g0.expr=m&"), std::string::npos);
  EXPECT_NE(report.messages[1].body.find("g0.end_input=2023-11-14%20"), std::string::npos);
}

TEST(Condition, IsTheSideThatIsMeasured) {
  const struct {
    const char *expr, *measured;
    bool lower;
  } kCases[] = {{"rate(x[5m]) > 1", "rate(x[5m])", false},
                {"x / y < 0.05 and z == 0", "x / y", true},
                {"(x <= 3)", "x", true},
                {"3 > x", "x", true},
                {"x == 0 unless y", "x", false}};
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.expr);
    const auto got = ConditionOf(c.expr, {});
    ASSERT_TRUE(got.has_value());
    EXPECT_EQ(got->measured, c.measured);
    EXPECT_EQ(got->lower_is_worse, c.lower);
  }
  for (const char* none : {"vector(1)", "x > bool 1", "absent(x)", "x or y"}) {
    EXPECT_FALSE(ConditionOf(none, {}).has_value()) << none;
  }
}

TEST(RuleTests, ExpectationsAreCompared) {
  auto file = config::ParseRuleTestFile(R"(
evaluation_interval: 1m
fuzzy_compare: true
tests:
  - name: good
    input_series: [{series: 'a{x="1"}', values: '0+0.1x10'}]
    promql_expr_test:
      - {expr: 'a * 3', eval_time: 3m, exp_samples: [{labels: '{x="1"}', value: 0.9}]}
      - {expr: 'count(a)', eval_time: 1m, exp_samples: [{value: 1}]}
  - name: bad
    input_series: [{series: a, values: '1'}]
    promql_expr_test:
      - {expr: a, eval_time: 0m, exp_samples: [{labels: a, value: 2}]}
      - {expr: 'a +', eval_time: 0m}
    alert_rule_test: [{eval_time: 0m, alertname: Nope, exp_alerts: [{}]}]
)",
                                        "t.yml");
  ASSERT_TRUE(file.ok()) << file.status().ToString();
  auto results = RunRuleTests(*file);
  ASSERT_TRUE(results.ok()) << results.status().ToString();
  EXPECT_TRUE((*results)[0].failures.empty()) << (*results)[0].failures[0];
  ASSERT_EQ((*results)[1].failures.size(), 3u);
  EXPECT_NE((*results)[1].failures[0].find("no rule of this name"), std::string::npos);
}

TEST(RuleTests, MistakesNameTheirLine) {
  for (const auto& [text, want] :
       {std::pair("tests: [{alert_rule_test: [{eval_time: 1m}]}]", "alertname"),
        std::pair("rule_files: [/nowhere/*.yml]", "no file matches"),
        std::pair("tests:\n  - interval: 0s", "t.yml:2"), std::pair("nope: 1", "nope")}) {
    const auto file = config::ParseRuleTestFile(text, "t.yml");
    ASSERT_FALSE(file.ok()) << text;
    EXPECT_NE(file.status().message().find(want), std::string_view::npos)
        << file.status().ToString();
  }
}

}  // namespace
}  // namespace vedette::rehearsal
