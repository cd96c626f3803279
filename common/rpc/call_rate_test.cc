#include "common/rpc/call_rate.h"

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace vedette::rpc {
namespace {

using Verdict = CallRate::Verdict;

constexpr int kCallsPerSecond = 1000;

bool Goes(Verdict v) { return v == Verdict::kGo || v == Verdict::kGoBusy; }

TEST(CallRate, ABurstAndThenSoManyASecondAreLetThrough) {
  testing::FakeClock clock;
  CallRate rate(kCallsPerSecond, clock);
  for (int i = 0; i < 2 * kCallsPerSecond; ++i) {
    ASSERT_TRUE(Goes(rate.Call("one"))) << i;
  }
  for (int second = 0; second < 20; ++second) {
    clock.Advance(1000);
    for (int i = 0; i < kCallsPerSecond; ++i) {
      ASSERT_TRUE(Goes(rate.Call("one"))) << second << " " << i;
    }
  }
}

TEST(CallRate, AFloodIsRefusedUntilItHasBeenQuietAndIsToldOnce) {
  testing::FakeClock clock;
  CallRate rate(kCallsPerSecond, clock);
  int begins = 0;
  int went = 0;
  for (int ms = 0; ms < 60'000; ++ms) {
    clock.Advance(1);
    for (int i = 0; i < 10; ++i) {
      const Verdict v = rate.Call("flood");
      begins += v == Verdict::kBegins;
      went += Goes(v);
    }
    if (ms % 2 == 0) {
      ASSERT_TRUE(Goes(rate.Call("honest"))) << ms;
    }
  }
  EXPECT_EQ(begins, 1);
  EXPECT_LE(went, 3000);
  EXPECT_FALSE(rate.Refuses("honest"));
  EXPECT_FALSE(rate.Refuses("nobody"));
  clock.Advance(CallRate::kPenaltyMs - 1);
  EXPECT_TRUE(rate.Refuses("flood"));
  EXPECT_EQ(rate.Call("flood"), Verdict::kRefused);
  clock.Advance(CallRate::kPenaltyMs - 1);
  EXPECT_TRUE(rate.Refuses("flood")) << "the call made it longer";
  clock.Advance(2);
  EXPECT_FALSE(rate.Refuses("flood"));
  clock.Advance(CallRate::kPenaltyMs + 1);
  EXPECT_EQ(rate.Call("flood"), Verdict::kGo);
}

TEST(CallRate, WhoFloodsInAnotherWayIsRefusedLikewise) {
  testing::FakeClock clock;
  CallRate rate(kCallsPerSecond, clock);
  rate.Refuse("frames");
  EXPECT_TRUE(rate.Refuses("frames"));
  EXPECT_EQ(rate.Call("frames"), Verdict::kRefused);
  EXPECT_TRUE(Goes(rate.Call("honest")));
  clock.Advance(CallRate::kPenaltyMs + 1);
  EXPECT_TRUE(Goes(rate.Call("frames")));
}

TEST(CallRate, TheRateIsWhatTheFlagSays) {
  testing::FakeClock clock;
  CallRate rate(5, clock);
  int went = 0;
  for (int i = 0; i < 100; ++i) went += Goes(rate.Call("one"));
  EXPECT_EQ(went, 10);
}

}  // namespace
}  // namespace vedette::rpc
