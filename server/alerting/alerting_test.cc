#include "server/alerting/alerting.h"

#include <gtest/gtest.h>

#include "common/base/strings.h"
#include "server/alerting/intervals.h"
#include "server/alerting/record.h"
#include "tests/support/fake_clock.h"
#include "tests/support/memory_key_value.h"

namespace vedette::alerting {
namespace {

constexpr int64_t kSecond = 1000;
constexpr int64_t kMinute = 60 * kSecond;
constexpr int64_t kHour = 60 * kMinute;

// A world with a clock, a store and receivers that write down what they are told.
class AlertingTest : public ::testing::Test {
 protected:
  AlertingTest() {
    config_.route.receiver = "team";
    config_.route.group_by = {"alertname"};
    config_.receivers = {{.name = "team"}, {.name = "other"}};
    Restart();
  }

  // As kill -9 and a new start: only the store is left.
  void Restart() {
    alerting_ = std::make_unique<Alerting>(
        AlertingOptions{.new_id = [this] { return StrCat("id", ++ids_); }}, store_, clock_);
    ASSERT_TRUE(alerting_->Load().ok());
    Reload();
  }

  void Reload() {
    std::map<std::string, std::vector<Integration>> receivers;
    for (const char* name : {"team", "other"}) {
      receivers[name] = {{.name = "test",
                          .send_resolved = send_resolved_,
                          .send = [this](const Notification& n, int64_t) {
                            ++attempts_;
                            if (!answers_.empty()) {
                              SendOutcome outcome = answers_.front();
                              answers_.erase(answers_.begin());
                              if (!outcome.status.ok()) return outcome;
                            }
                            told_.push_back(n);
                            return SendOutcome{};
                          }}};
    }
    Status s = alerting_->Update(config_, receivers);
    ASSERT_TRUE(s.ok()) << s.ToString();
  }

  static Alert Firing(std::initializer_list<std::pair<std::string_view, std::string_view>> labels,
                      int64_t starts_at_ms) {
    return {.labels = Labels::Of(labels), .starts_at_ms = starts_at_ms};
  }
  void Put(Alert alert) {
    Status s = alerting_->Put({std::move(alert)});
    ASSERT_TRUE(s.ok()) << s.ToString();
  }
  // Time goes by, a second at a time; firing alerts keep being posted when asked.
  void Pass(int64_t ms, const std::vector<Alert>& again = {}) {
    for (int64_t t = 0; t < ms; t += kSecond) {
      clock_.Advance(kSecond);
      if (!again.empty() && t % kMinute == 0) {
        ASSERT_TRUE(alerting_->Put(again).ok());
      }
      alerting_->RunDue();
    }
  }
  int64_t now() { return clock_.NowMs(); }

  testing::FakeClock clock_;
  testing::MemoryKeyValue store_;
  config::AlertmanagerConfig config_;
  bool send_resolved_ = true;
  std::vector<Notification> told_;
  std::vector<SendOutcome> answers_;
  int attempts_ = 0;
  int ids_ = 0;
  std::unique_ptr<Alerting> alerting_;
};

TEST_F(AlertingTest, AGroupWaitsThenTellsOnceThenOnlyNews) {
  const Alert a = Firing({{"alertname", "Down"}, {"instance", "a"}}, now());
  const Alert b = Firing({{"alertname", "Down"}, {"instance", "b"}}, now());
  Put(a);
  Pass(10 * kSecond);
  Put(b);
  Pass(19 * kSecond);
  EXPECT_TRUE(told_.empty());
  Pass(2 * kSecond);
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_EQ(told_[0].alerts.size(), 2u);
  EXPECT_EQ(told_[0].group_key, "{}:{alertname=\"Down\"}");
  EXPECT_TRUE(told_[0].firing());
  EXPECT_EQ(told_[0].alerts[0].ends_at_ms, 0);
  Pass(11 * kMinute, {a, b});
  EXPECT_EQ(told_.size(), 1u) << "nothing is new";
  Put(Firing({{"alertname", "Down"}, {"instance", "c"}}, now()));
  Pass(5 * kMinute, {a, b});
  ASSERT_EQ(told_.size(), 2u);
  EXPECT_EQ(told_[1].alerts.size(), 3u);
  EXPECT_EQ(told_[1].reason, "new alerts in group");
}

TEST_F(AlertingTest, ResolvedIsToldOnceAndTheGroupGoes) {
  Alert a = Firing({{"alertname", "Down"}}, now());
  Put(a);
  Pass(31 * kSecond);
  ASSERT_EQ(told_.size(), 1u);
  a.ends_at_ms = now();
  Put(a);
  Pass(6 * kMinute);
  ASSERT_EQ(told_.size(), 2u);
  EXPECT_FALSE(told_[1].firing());
  EXPECT_EQ(told_[1].alerts[0].ends_at_ms, a.ends_at_ms);
  Pass(20 * kMinute);
  EXPECT_EQ(told_.size(), 2u);
  EXPECT_TRUE(alerting_->Groups().empty());
}

TEST_F(AlertingTest, WhatResolvesInsideGroupWaitIsNeverTold) {
  Alert a = Firing({{"alertname", "Blip"}}, now());
  Put(a);
  Pass(5 * kSecond);
  a.ends_at_ms = now();
  Put(a);
  Pass(10 * kMinute);
  EXPECT_TRUE(told_.empty());
}

TEST_F(AlertingTest, AnAlertThatIsNotRepeatedResolvesAfterTheTimeout) {
  Put(Firing({{"alertname", "Gone"}}, now()));
  Pass(31 * kSecond);
  Pass(10 * kMinute);
  ASSERT_EQ(told_.size(), 2u);
  EXPECT_FALSE(told_[1].firing());
}

TEST_F(AlertingTest, ADiskThatRefusesCostsNeitherANoticeNorARepeat) {
  const auto pass = [&](int64_t ms, const Alert& alert) {
    for (int64_t t = 0; t < ms; t += kSecond) {
      clock_.Advance(kSecond);
      if (t % kMinute == 0) (void)alerting_->Put({alert});
      alerting_->RunDue();
    }
  };
  store_.FailWrites(true);
  Alert a = Firing({{"alertname", "Down"}}, now());
  EXPECT_EQ(alerting_->Put({a}).code(), StatusCode::kUnavailable) << "said, for who can repeat it";
  pass(20 * kMinute, a);
  ASSERT_EQ(told_.size(), 1u);
  a.ends_at_ms = now();
  pass(10 * kMinute, a);
  ASSERT_EQ(told_.size(), 2u);
  EXPECT_FALSE(told_[1].firing());

  const Alert b = Firing({{"alertname", "Full"}}, now());
  pass(2 * kMinute, b);
  ASSERT_EQ(told_.size(), 3u);
  store_.FailWrites(false);
  Pass(kMinute);
  Restart();
  pass(20 * kMinute, b);
  EXPECT_EQ(told_.size(), 3u) << "it was written down once the disk took it";
}

TEST_F(AlertingTest, WithoutSendResolvedOnlyTheLogLearnsOfIt) {
  send_resolved_ = false;
  Reload();
  Alert a = Firing({{"alertname", "Down"}}, now());
  Put(a);
  Pass(31 * kSecond);
  a.ends_at_ms = now();
  Put(a);
  Pass(6 * kMinute);
  EXPECT_EQ(told_.size(), 1u);
  Put(Firing({{"alertname", "Down"}}, now()));
  Pass(6 * kMinute);
  EXPECT_EQ(told_.size(), 2u) << "it fires anew";
}

TEST_F(AlertingTest, RepeatsAfterRepeatIntervalRoundedUpToATick) {
  config_.route.repeat_interval_ms = kHour;
  Reload();
  const Alert a = Firing({{"alertname", "Down"}}, now());
  Put(a);
  Pass(kHour - kMinute, {a});
  EXPECT_EQ(told_.size(), 1u);
  Pass(10 * kMinute, {a});
  ASSERT_EQ(told_.size(), 2u);
  EXPECT_EQ(told_[1].reason, "repeat interval elapsed");
}

TEST_F(AlertingTest, RoutesByMatchersDepthFirstAndContinue) {
  config::RouteConfig page = config_.route;
  page.receiver = "other";
  page.matchers = {Matcher::Equal("severity", "page")};
  page.continue_matching = true;
  config::RouteConfig all = config_.route;
  all.matchers = {*Matcher::Make(Matcher::Op::kRegex, "severity", ".+")};
  config_.route.routes = {page, all};
  Reload();
  Put(Firing({{"alertname", "A"}, {"severity", "page"}}, now()));
  Put(Firing({{"alertname", "B"}}, now()));
  Pass(31 * kSecond);
  std::vector<std::string> got;
  for (const Notification& n : told_) got.push_back(n.receiver + " " + n.group_key);
  std::sort(got.begin(), got.end());
  EXPECT_EQ(got, (std::vector<std::string>{"other {}/{severity=\"page\"}:{alertname=\"A\"}",
                                           "team {}/{severity=~\".+\"}:{alertname=\"A\"}",
                                           "team {}:{alertname=\"B\"}"}));
}

TEST_F(AlertingTest, AReceiverThatFailsIsTriedAgainWithGrowingPauses) {
  answers_ = {{Unavailable("503"), true, 0}, {Unavailable("503"), true, 0}};
  Put(Firing({{"alertname", "Down"}}, now()));
  Pass(31 * kSecond);
  Pass(10 * kSecond);
  EXPECT_EQ(attempts_, 3);
  EXPECT_EQ(told_.size(), 1u);
  Pass(10 * kMinute, {Firing({{"alertname", "Down"}}, now() - kMinute)});
  EXPECT_EQ(told_.size(), 1u);
}

TEST_F(AlertingTest, RetryAfterIsObeyed) {
  answers_ = {{ResourceExhausted("429"), true, 40 * kSecond}};
  Put(Firing({{"alertname", "Down"}}, now()));
  Pass(30 * kSecond);
  EXPECT_EQ(attempts_, 1);
  Pass(39 * kSecond);
  EXPECT_EQ(attempts_, 1);
  Pass(2 * kSecond);
  EXPECT_EQ(attempts_, 2);
  EXPECT_EQ(told_.size(), 1u);
}

TEST_F(AlertingTest, WhatCannotHelpIsNotRetriedBeforeTheNextTick) {
  answers_ = {{InvalidArgument("400"), false, 0}};
  const Alert a = Firing({{"alertname", "Down"}}, now());
  Put(a);
  Pass(4 * kMinute, {a});
  EXPECT_EQ(attempts_, 1);
  Pass(2 * kMinute, {a});
  EXPECT_EQ(told_.size(), 1u) << "the next group_interval tries anew";
  EXPECT_EQ(alerting_->Counts().at("test").failed, 1u);
  const auto all = alerting_->History(0, INT64_MAX, 10);
  ASSERT_EQ(all->size(), 2u);
  // Of more than the limit the newest; what is not wanted does not count.
  const auto last = alerting_->History(0, INT64_MAX, 1);
  ASSERT_EQ(last->size(), 1u);
  EXPECT_EQ(last->front().t_ms, all->back().t_ms);
  const auto first = alerting_->History(0, INT64_MAX, 1, [&](const NotificationEvent& e) {
    return e.t_ms == all->front().t_ms;
  });
  ASSERT_EQ(first->size(), 1u);
  EXPECT_EQ(first->front().t_ms, all->front().t_ms);
}

TEST_F(AlertingTest, ARestartRepeatsNothingAndLosesNothing) {
  const Alert a = Firing({{"alertname", "Told"}}, now());
  Put(a);
  Pass(31 * kSecond);
  Put(Firing({{"alertname", "NotYet"}}, now()));
  Restart();
  Pass(2 * kMinute);
  ASSERT_EQ(told_.size(), 2u);
  EXPECT_EQ(told_[1].group_labels.Get("alertname"), "NotYet");
  Alert resolved = a;
  resolved.ends_at_ms = now();
  Put(resolved);
  Restart();
  Pass(6 * kMinute);
  bool told_resolved = false;
  for (const Notification& n : told_) {
    told_resolved |= n.group_labels.Get("alertname") == "Told" && !n.firing();
  }
  EXPECT_TRUE(told_resolved) << "resolved just before the crash";
}

TEST_F(AlertingTest, RetryAfterHoldsForEveryGroupOfTheIntegration) {
  answers_ = {{Unavailable("429"), true, 10 * kSecond}};
  Put(Firing({{"alertname", "A"}}, now()));
  Put(Firing({{"alertname", "B"}}, now()));
  Pass(39 * kSecond);
  EXPECT_EQ(attempts_, 1) << "B waits too";
  Pass(3 * kSecond);
  EXPECT_EQ(told_.size(), 2u);
  EXPECT_EQ(attempts_, 3);
}

TEST_F(AlertingTest, RetryAfterHoldsAcrossARestartAndAReload) {
  answers_ = {{Unavailable("429"), true, 60 * kSecond}};
  Put(Firing({{"alertname", "A"}}, now()));
  Pass(31 * kSecond);
  EXPECT_EQ(attempts_, 1);
  Restart();
  Pass(30 * kSecond);
  EXPECT_EQ(attempts_, 1) << "after a restart";
  Reload();
  Pass(25 * kSecond);
  EXPECT_EQ(attempts_, 1) << "after a reload";
  Pass(10 * kSecond);
  EXPECT_EQ(told_.size(), 1u);
  EXPECT_EQ(attempts_, 2);
  Restart();
  Pass(5 * kMinute);
  EXPECT_EQ(attempts_, 2);
}

TEST_F(AlertingTest, AnExpiringSilenceReminds) {
  Silence s{.matchers = {Matcher::Equal("instance", "a")},
            .starts_at_ms = now(),
            .ends_at_ms = now() + kHour,
            .created_by = "me",
            .comment = "works",
            .remind_before_ms = 10 * kMinute};
  ASSERT_TRUE(alerting_->SetSilence(s).ok());
  Pass(49 * kMinute);
  EXPECT_TRUE(told_.empty());
  Pass(3 * kMinute);
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_EQ(told_[0].alerts[0].labels.Get("alertname"), "SilenceExpiring");
  EXPECT_EQ(told_[0].alerts[0].labels.Get("created_by"), "me");
}

TEST_F(AlertingTest, SilencesHoldNotificationsBackUntilTheyEnd) {
  Silence s{.matchers = {Matcher::Equal("instance", "a")},
            .starts_at_ms = now(),
            .ends_at_ms = now() + 10 * kMinute,
            .created_by = "me",
            .comment = "works"};
  Result<std::string> id = alerting_->SetSilence(s);
  ASSERT_TRUE(id.ok()) << id.status().ToString();
  const Alert a = Firing({{"alertname", "Down"}, {"instance", "a"}}, now());
  Put(a);
  Pass(5 * kMinute, {a});
  EXPECT_TRUE(told_.empty());
  ASSERT_EQ(alerting_->Alerts().size(), 1u);
  EXPECT_EQ(alerting_->Alerts()[0].silenced_by, std::vector<std::string>{*id});
  Restart();
  Pass(3 * kMinute, {a});
  EXPECT_TRUE(told_.empty()) << "silences survive a restart";
  Pass(10 * kMinute, {a});
  EXPECT_EQ(told_.size(), 1u);
}

TEST_F(AlertingTest, EditingTheMatchersOfASilenceMakesANewOne) {
  Silence s{
      .matchers = {Matcher::Equal("a", "b")}, .starts_at_ms = now(), .ends_at_ms = now() + kHour};
  const std::string id = *alerting_->SetSilence(s);
  Silence longer = alerting_->FindSilence(id)->silence;
  longer.ends_at_ms += kHour;
  EXPECT_EQ(*alerting_->SetSilence(longer), id);
  longer.matchers = {Matcher::Equal("a", "c")};
  const std::string other = *alerting_->SetSilence(longer);
  EXPECT_NE(other, id);
  EXPECT_EQ(alerting_->FindSilence(id)->state, SilenceState::kExpired);
  EXPECT_TRUE(alerting_->ExpireSilence(other).ok());
  EXPECT_EQ(alerting_->ExpireSilence(other).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(alerting_->ExpireSilence("none").code(), StatusCode::kNotFound);
  s.matchers = {*Matcher::Make(Matcher::Op::kRegex, "a", ".*")};
  EXPECT_FALSE(alerting_->SetSilence(s).ok()) << "it would match everything";
}

TEST_F(AlertingTest, InhibitionByASourceWithEqualLabels) {
  config_.inhibit_rules = {{.source_matchers = {Matcher::Equal("alertname", "HostDown")},
                            .target_matchers = {Matcher::Equal("severity", "warning")},
                            .equal = {"instance"}}};
  Reload();
  const Alert host = Firing({{"alertname", "HostDown"}, {"instance", "a"}}, now());
  const Alert same =
      Firing({{"alertname", "Slow"}, {"instance", "a"}, {"severity", "warning"}}, now());
  const Alert elsewhere =
      Firing({{"alertname", "Slow"}, {"instance", "b"}, {"severity", "warning"}}, now());
  for (const Alert& a : {host, same, elsewhere}) Put(a);
  Pass(31 * kSecond);
  ASSERT_EQ(told_.size(), 2u);
  for (const Notification& n : told_) EXPECT_EQ(n.alerts.size(), 1u);
  Alert over = host;
  over.ends_at_ms = now();
  Put(over);
  Pass(6 * kMinute, {same, elsewhere});
  EXPECT_EQ(told_.back().alerts.size(), 2u) << "the source is gone: the target is told";
}

TEST_F(AlertingTest, MuteIntervalsHoldBack) {
  config_.time_intervals = {{.name = "always", .intervals = {{}}}};
  config::RouteConfig child = config_.route;
  child.matchers = {Matcher::Equal("quiet", "yes")};
  child.mute_time_intervals = {"always"};
  config_.route.routes = {child};
  Reload();
  Put(Firing({{"alertname", "A"}, {"quiet", "yes"}}, now()));
  Pass(2 * kMinute);
  EXPECT_TRUE(told_.empty());
  EXPECT_EQ(alerting_->Alerts()[0].muted_by, std::vector<std::string>{"always"});
}

TEST_F(AlertingTest, AConfigurationWithAHoleIsRefusedWhole) {
  config::AlertmanagerConfig bad = config_;
  bad.route.receiver = "nobody";
  EXPECT_FALSE(alerting_->Update(bad, {}).ok());
  EXPECT_EQ(alerting_->config()->route.receiver, "team");
}

TEST(Intervals, TimesDaysAndZones) {
  config::NamedTimeInterval work{
      .name = "work",
      .intervals = {
          {.times = {{9 * 60, 17 * 60}}, .weekdays = {{1, 5}}, .location = "Australia/Sydney"}}};
  config::NamedTimeInterval last{.name = "last", .intervals = {{.days_of_month = {{-1, -1}}}}};
  const config::NamedTimeInterval both[] = {work, last};
  Result<Intervals> i = Intervals::Make(both);
  ASSERT_TRUE(i.ok()) << i.status().ToString();
  // Monday 2024-01-15 in Sydney is eleven hours ahead of UTC.
  EXPECT_TRUE(i->Active("work", 1'705'269'600'000));   // 09:00 there
  EXPECT_FALSE(i->Active("work", 1'705'269'599'000));  // a second before
  EXPECT_FALSE(i->Active("work", 1'705'298'400'000));  // 17:00 there
  EXPECT_TRUE(i->Active("last", 1'709'208'000'000));   // 2024-02-29
  EXPECT_FALSE(i->Active("last", 1'709'121'600'000));  // 2024-02-28
  const config::NamedTimeInterval odd[] = {
      {.name = "odd", .intervals = {{.location = "Mars/Olympus"}}}};
  EXPECT_FALSE(Intervals::Make(odd).ok());
}

TEST(Record, EveryTruncationIsDataLoss) {
  const StoredAlert a{.alert = {.labels = Labels::Of({{"a", "b"}}), .generator_url = "u"},
                      .updated_at_ms = 5};
  const std::string bytes = Encode(a);
  ASSERT_TRUE(DecodeAlert(bytes).ok());
  EXPECT_EQ(DecodeAlert(bytes)->alert.labels, a.alert.labels);
  const std::string log = Encode(NotificationLogEntry{.t_ms = 1, .firing = {1, 2}});
  ASSERT_EQ(DecodeLogEntry(log)->firing.size(), 2u);
  const std::string silence = Encode(Silence{.id = "x", .matchers = {Matcher::Equal("a", "b")}});
  ASSERT_EQ(DecodeSilence(silence)->matchers.size(), 1u);
  for (size_t n = 0; n < bytes.size(); ++n) EXPECT_FALSE(DecodeAlert(bytes.substr(0, n)).ok());
  for (size_t n = 0; n < log.size(); ++n) EXPECT_FALSE(DecodeLogEntry(log.substr(0, n)).ok());
  for (size_t n = 0; n < silence.size(); ++n) {
    EXPECT_FALSE(DecodeSilence(silence.substr(0, n)).ok());
  }
}

}  // namespace
}  // namespace vedette::alerting
