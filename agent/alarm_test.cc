#include "agent/alarm.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/fake_clock.h"

namespace vedette::agent {
namespace {

constexpr int64_t kMinute = 60'000;

class AlarmTest : public ::testing::Test {
 protected:
  void Pass(int64_t ms) {
    for (int64_t t = 0; t < ms; t += 1000) {
      clock_.Advance(1000);
      alarm_.TellIfDue();
    }
  }
  testing::FakeClock clock_;
  std::vector<std::string> told_;
  Status answer_;
  Alarm alarm_{{.node = "db1", .after_ms = 10 * kMinute, .repeat_ms = 60 * kMinute},
               [this](const std::string& body) {
                 told_.push_back(body);
                 return answer_;
               },
               clock_};
};

TEST_F(AlarmTest, SilenceIsToldOnceAndAgainAfterAnHour) {
  Pass(9 * kMinute);
  alarm_.Scraped();
  Pass(9 * kMinute);
  EXPECT_TRUE(told_.empty());
  Pass(2 * kMinute);
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_NE(told_[0].find("\"status\":\"firing\""), std::string::npos);
  EXPECT_NE(told_[0].find("\"node\":\"db1\""), std::string::npos);
  EXPECT_NE(told_[0].find("for 10m"), std::string::npos) << told_[0];
  Pass(58 * kMinute);
  EXPECT_EQ(told_.size(), 1u);
  Pass(2 * kMinute);
  EXPECT_EQ(told_.size(), 2u);
}

TEST_F(AlarmTest, AScrapeEndsItAtOnce) {
  Pass(11 * kMinute);
  alarm_.Scraped();
  Pass(2000);
  ASSERT_EQ(told_.size(), 2u);
  EXPECT_NE(told_[1].find("\"status\":\"resolved\""), std::string::npos);
  EXPECT_EQ(told_[1].find("0001-01-01"), std::string::npos);
  Pass(9 * kMinute);
  EXPECT_EQ(told_.size(), 2u);
}

TEST_F(AlarmTest, WhatNobodyTookIsSentAgain) {
  answer_ = Unavailable("down");
  Pass(11 * kMinute);
  EXPECT_EQ(told_.size(), 3u) << "at once, then every 30 s";
  answer_ = Status();
  Pass(kMinute);
  EXPECT_EQ(told_.size(), 4u);
  alarm_.Scraped();
  answer_ = Unavailable("down");
  Pass(kMinute);
  answer_ = Status();
  Pass(kMinute);
  EXPECT_NE(told_.back().find("resolved"), std::string::npos);
}

}  // namespace
}  // namespace vedette::agent
