#include "agent/host/filter.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "common/base/strings.h"

namespace vedette::agent {
namespace {

TEST(Filter, ANamePassesWhatItMatchesTheSecondTimeToo) {
  const auto filter = Filter::Make("--collector.x", "^(eth|lo)", "1$");
  ASSERT_TRUE(filter.ok()) << filter.status().ToString();
  const Filter copy = *filter;
  for (int round = 0; round < 3; ++round) {
    EXPECT_TRUE(filter->Passes("eth0"));
    EXPECT_TRUE(copy.Passes("lo"));
    EXPECT_FALSE(copy.Passes("eth1"));
    EXPECT_FALSE(filter->Passes("wlan0"));
  }
  EXPECT_TRUE(Filter().Passes("anything"));
}

// More names than are remembered, from several threads.
TEST(Filter, AnyNumberOfNamesAreJudgedRightly) {
  const auto filter = Filter::Make("--collector.x", "", "7$");
  ASSERT_TRUE(filter.ok());
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 9'000; ++i) EXPECT_EQ(filter->Passes(StrCat("veth", i)), i % 10 != 7) << i;
    });
  }
  for (std::thread& t : threads) t.join();
}

}  // namespace
}  // namespace vedette::agent
