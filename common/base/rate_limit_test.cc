#include "common/base/rate_limit.h"

#include <gtest/gtest.h>

#include <string_view>

#include "common/base/strings.h"
#include "tests/support/fake_clock.h"

namespace vedette {
namespace {

bool Go(RateLimit& limit, std::string_view peer) {
  return limit.Take(peer) == RateLimit::Verdict::kGo;
}

TEST(RateLimit, APeerHasABurstThenItsShareAndOthersAreUntouched) {
  testing::FakeClock clock;
  RateLimit limit(
      {.peer_burst = 3, .peer_per_second = 0.5, .all_burst = 100, .all_per_second = 20}, clock);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Go(limit, "10.0.0.1")) << i;
  EXPECT_FALSE(Go(limit, "10.0.0.1"));
  EXPECT_TRUE(Go(limit, "10.0.0.2"));
  clock.Advance(1999);
  EXPECT_FALSE(Go(limit, "10.0.0.1"));
  clock.Advance(1);
  EXPECT_TRUE(Go(limit, "10.0.0.1"));
  EXPECT_FALSE(Go(limit, "10.0.0.1"));
}

TEST(RateLimit, AllTogetherAreBoundedToo) {
  testing::FakeClock clock;
  RateLimit limit(
      {.peer_burst = 10, .peer_per_second = 1, .all_burst = 5, .all_per_second = 1}, clock);
  int taken = 0;
  for (int i = 0; i < 50; ++i) taken += Go(limit, StrCat("10.0.0.", i)) ? 1 : 0;
  EXPECT_EQ(taken, 5);
  clock.Advance(2000);
  EXPECT_TRUE(Go(limit, "10.0.0.99"));
}

TEST(RateLimit, ForgetsPeersThatAreQuietAndRefusesNewOnesWhileFull) {
  testing::FakeClock clock;
  RateLimit limit({.peer_burst = 2, .peer_per_second = 1, .all_burst = 1e6, .all_per_second = 1e6},
                  clock);
  for (size_t i = 0; i < RateLimit::kMaxPeers; ++i) EXPECT_TRUE(Go(limit, StrCat("p", i)));
  EXPECT_FALSE(Go(limit, "one more"));
  EXPECT_TRUE(Go(limit, "p7"));  // A peer that is known is served as before.
  clock.Advance(1000);
  EXPECT_TRUE(Go(limit, "one more"));
  EXPECT_TRUE(Go(limit, "p7"));
  EXPECT_FALSE(Go(limit, "p7"));  // Not forgotten: it still owed one.
}

}  // namespace
}  // namespace vedette
