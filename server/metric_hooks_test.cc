#include "server/metric_hooks.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/support/fake_clock.h"

namespace vedette {
namespace {

double ValueOf(const metrics::Registry& registry, const Labels& labels) {
  for (const MetricFamily& f : registry.Collect()) {
    for (const FamilySample& s : f.samples) {
      if (s.labels == labels) return s.value;
    }
  }
  ADD_FAILURE() << "there is no " << labels.ToString();
  return -1;
}

TEST(GoDuration, IsWhatGoPrints) {
  const std::vector<std::pair<int64_t, std::string>> cases = {
      {0, "0s"},          {20, "20ms"},        {1'000, "1s"},       {1'500, "1.5s"},
      {15'000, "15s"},    {60'000, "1m0s"},    {90'000, "1m30s"},   {61'001, "1m1.001s"},
      {3'600'000, "1h0m0s"}, {5'400'000, "1h30m0s"}};
  for (const auto& [ms, want] : cases) EXPECT_EQ(GoDuration(ms), want) << ms;
}

TEST(CountQueries, AQueryThatWasNotEvaluatedHasOnlyWaited) {
  const testing::FakeClock clock;
  metrics::Registry registry;
  const auto count = CountQueries(registry, clock);
  count({.evaluated = true, .queue_seconds = 1, .prepare_seconds = 2, .eval_seconds = 5,
         .sort_seconds = 1});
  count({.queue_seconds = 3});
  const auto sample = [](const char* suffix, const char* slice) {
    return Labels::Of({{"__name__", std::string("prometheus_engine_query_duration_seconds") + suffix},
                       {"slice", slice}});
  };
  EXPECT_EQ(ValueOf(registry, sample("_sum", "queue_time")), 4);
  EXPECT_EQ(ValueOf(registry, sample("_sum", "inner_eval")), 4);
  EXPECT_EQ(ValueOf(registry, sample("_sum", "result_sort")), 1);
  EXPECT_EQ(ValueOf(registry, sample("_count", "prepare_time")), 1);
  EXPECT_NEAR(
      ValueOf(registry, Labels::Of({{"__name__", "prometheus_engine_query_duration_seconds"},
                                    {"quantile", "0.9"},
                                    {"slice", "prepare_time"}})),
      2, 0.02);
}

TEST(CountScrapes, IntervalsAndSyncsHaveTheirLabels) {
  const testing::FakeClock clock;
  metrics::Registry registry;
  const scrape::Events events = CountScrapes(registry, clock);
  events.began(15'000, 15.002);
  events.synced("node", 0.25, 2);
  events.synced("node", 0.25, 0);
  EXPECT_EQ(ValueOf(registry,
                    Labels::Of({{"__name__", "prometheus_target_interval_length_seconds_count"},
                                {"interval", "15s"}})),
            1);
  EXPECT_EQ(ValueOf(registry, Labels::Of({{"__name__", "prometheus_target_sync_length_seconds_sum"},
                                          {"scrape_job", "node"}})),
            0.5);
  EXPECT_EQ(ValueOf(registry, Labels::Of({{"__name__", "prometheus_target_sync_failed_total"},
                                          {"scrape_job", "node"}})),
            2);
}

}  // namespace
}  // namespace vedette
