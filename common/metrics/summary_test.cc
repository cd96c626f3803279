#include "common/metrics/summary.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "common/metrics/metrics.h"
#include "common/model/labels.h"
#include "tests/support/fake_clock.h"

namespace vedette::metrics {
namespace {

TEST(Summary, QuantilesAreThoseOfTheValuesWithinOnePercent) {
  const vedette::testing::FakeClock clock;
  Summary s(clock);
  for (int i = 1000; i >= 1; --i) s.Observe(i / 1000.0);
  const Summary::Values v = s.values();
  EXPECT_EQ(v.count, 1000u);
  EXPECT_NEAR(v.sum, 500.5, 1e-9);
  for (size_t i = 0; i < Summary::kQuantiles.size(); ++i) {
    EXPECT_NEAR(v.quantiles[i], Summary::kQuantiles[i], 0.0101 * Summary::kQuantiles[i]);
  }
}

TEST(Summary, WhatIsOlderThanTheWindowHasNoQuantileAndStillCounts) {
  vedette::testing::FakeClock clock;
  Summary s(clock);
  s.Observe(100);
  clock.Advance(Summary::kWindowMs / 2);
  s.Observe(1);
  EXPECT_NEAR(s.values().quantiles[4], 100, 1);
  clock.Advance(Summary::kWindowMs / 2);
  EXPECT_NEAR(s.values().quantiles[4], 1, 0.01) << "the first one is out of the window";
  clock.Advance(10 * Summary::kWindowMs);
  EXPECT_TRUE(std::isnan(s.values().quantiles[2]));
  EXPECT_EQ(s.values().count, 2u);
  EXPECT_EQ(s.values().sum, 101);
  s.Observe(3);
  EXPECT_NEAR(s.values().quantiles[0], 3, 0.03) << "a stride that is used again begins empty";
}

TEST(Summary, OddValuesCostNothingButThemselves) {
  const vedette::testing::FakeClock clock;
  Summary s(clock);
  s.Observe(0);
  s.Observe(-5);
  s.Observe(std::numeric_limits<double>::infinity());
  s.Observe(std::numeric_limits<double>::quiet_NaN());
  const Summary::Values v = s.values();
  EXPECT_EQ(v.count, 4u);
  EXPECT_EQ(v.quantiles[2], 0);
  EXPECT_NEAR(v.quantiles[4], 1e7, 1e5);
}

TEST(Summary, ARegistryShowsItAsPrometheusDoes) {
  const vedette::testing::FakeClock clock;
  Registry registry;
  registry.AddSummaryFamily("s_seconds", "", {"slice"}, clock).With({"a"}).Observe(0);
  const std::vector<MetricFamily> families = registry.Collect();
  ASSERT_EQ(families.size(), 1u);
  EXPECT_EQ(families[0].metadata.type, MetricType::kSummary);
  ASSERT_EQ(families[0].samples.size(), Summary::kQuantiles.size() + 2);
  EXPECT_EQ(families[0].samples[3].labels,
            Labels::Of({{"__name__", "s_seconds"}, {"quantile", "0.9"}, {"slice", "a"}}));
  EXPECT_EQ(families[0].samples[5].labels,
            Labels::Of({{"__name__", "s_seconds_sum"}, {"slice", "a"}}));
  EXPECT_EQ(families[0].samples[6].labels,
            Labels::Of({{"__name__", "s_seconds_count"}, {"slice", "a"}}));
  EXPECT_EQ(families[0].samples[6].value, 1);
}

}  // namespace
}  // namespace vedette::metrics
