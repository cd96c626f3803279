#include "agent/snapshot/sampler.h"

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace vedette::agent {
namespace {

TEST(Sampler, SamplesOnlyOnceAServerHasAskedAndGoneAway) {
  testing::FakeClock clock;
  int samples = 0;
  Sampler sampler([&] { ++samples; }, clock);
  clock.Advance(3'600'000);
  sampler.SampleIfDue();
  EXPECT_EQ(samples, 0);  // Nobody ever asked.

  sampler.Pulled(10'000);
  clock.Advance(14'999);
  sampler.SampleIfDue();
  EXPECT_EQ(samples, 0);  // The next pull may just be late.
  sampler.Pulled(0);      // The interval stays.
  clock.Advance(15'000);
  sampler.SampleIfDue();
  EXPECT_EQ(samples, 1);
  sampler.SampleIfDue();
  EXPECT_EQ(samples, 1);
  for (int i = 0; i < 5; ++i) {
    clock.Advance(10'000);
    sampler.SampleIfDue();
  }
  EXPECT_EQ(samples, 6);

  sampler.Pulled(10'000);
  clock.Advance(10'000);
  sampler.SampleIfDue();
  EXPECT_EQ(samples, 6);
}

TEST(Sampler, DoesNotCatchUpAfterASleep) {
  testing::FakeClock clock;
  int samples = 0;
  Sampler sampler([&] { ++samples; }, clock);
  sampler.Pulled(1'000);
  clock.Advance(3'600'000);
  for (int i = 0; i < 10; ++i) sampler.SampleIfDue();
  EXPECT_EQ(samples, 1);
}

TEST(Sampler, StopsWhileItWaits) {
  testing::FakeClock clock;
  Sampler sampler([] {}, clock);
  sampler.Start();
  sampler.Pulled(60'000);
  sampler.Stop();
}

}  // namespace
}  // namespace vedette::agent
