#include "server/promql/engine/handover.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "common/model/histogram.h"
#include "common/model/labels.h"
#include "server/promql/engine/helper_pool.h"

namespace vedette::promql {
namespace {

HandedBatch BatchOf(uint64_t samples, bool last = false, uint64_t bytes = 100) {
  HandedBatch b;
  b.series.push_back({.samples = samples});
  b.bytes = bytes;
  b.last = last;
  return b;
}

TEST(Handover, TheFirstFreePartIsLeftToTheQuerysThread) {
  Handover h(6, 1000);
  EXPECT_TRUE(h.ClaimOwn(0));
  EXPECT_EQ(h.Claim(), std::optional<size_t>(2));
  EXPECT_TRUE(h.ClaimOwn(1));
  EXPECT_FALSE(h.ClaimOwn(2)) << "the helper has it";
  EXPECT_EQ(h.Claim(), std::optional<size_t>(4));
  EXPECT_EQ(h.Claim(), std::optional<size_t>(5)) << "it is quicker, and does not wait";
  EXPECT_EQ(h.Claim(), std::nullopt) << "3 is left";
  EXPECT_TRUE(h.ClaimOwn(3));
  EXPECT_FALSE(h.ClaimOwn(4));
}

TEST(HandedBatch, KeepsColumnsInOrder) {
  HandedBatch b;
  Column one;
  one.labels = Labels::Of({{"a", "1"}});
  one.values = {1, 2};
  b.Add(&one, 10, 20);
  b.Add(nullptr, 1, 2);
  Column two;
  two.values = {3, 4};
  two.histograms = {nullptr, std::make_shared<const Histogram>()};
  b.Add(&two, 0, 0);
  ASSERT_EQ(b.series.size(), 3u);
  EXPECT_EQ(b.series[0].labels, Labels::Of({{"a", "1"}}));
  EXPECT_EQ(b.series[0].samples, 10u);
  EXPECT_TRUE(b.series[1].empty);
  EXPECT_EQ(b.series[2].histograms.size(), 2u);
  EXPECT_EQ(b.values, (std::vector<double>{1, 2, 3, 4}));
  EXPECT_EQ(one.values.size(), 2u) << "its memory serves the next one";
  b.Clear();
  EXPECT_TRUE(b.series.empty());
  EXPECT_EQ(b.bytes, 0u);
}

TEST(Handover, WhatCameBeforeAFailureComesBeforeIt) {
  Handover h(2, 1000);
  ASSERT_EQ(h.Claim(), std::optional<size_t>(1));
  ASSERT_TRUE(h.Put(BatchOf(1)).ok());
  h.End(Internal("broken"));
  const Result<HandedBatch> first = h.Take();
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->series[0].samples, 1u);
  EXPECT_EQ(h.Take().status().message(), "broken");
}

TEST(Handover, AHelperIsNeverMuchAhead) {
  constexpr uint64_t kBatches = 100;
  Handover h(2, 250);
  std::atomic<uint64_t> put{0};
  std::thread helper([&] {
    Status status;
    for (uint64_t i = 1; i <= kBatches && status.ok(); ++i) {
      status = h.Put(BatchOf(i, i == kBatches));
      put += status.ok();
    }
    h.End(std::move(status));
  });
  for (uint64_t taken = 1; taken <= kBatches; ++taken) {
    const Result<HandedBatch> b = h.Take();
    ASSERT_TRUE(b.ok());
    EXPECT_EQ(b->series[0].samples, taken) << "in order";
    EXPECT_LE(put.load(), taken + 2) << "two batches of 100 bytes fit in 250";
    EXPECT_EQ(b->last, taken == kBatches);
  }
  h.Stop();
  h.WaitForEnd();
  helper.join();
}

TEST(Handover, OneThatIsTooLargePassesAlone) {
  Handover h(1, 10);
  ASSERT_TRUE(h.Put(BatchOf(1, true, 1000)).ok()) << "it does not wait for room that never is";
  EXPECT_TRUE(h.Take().ok());
}

TEST(Handover, StoppingFreesAHelperThatWaits) {
  Handover h(1, 100);
  ASSERT_TRUE(h.Put(BatchOf(1)).ok());
  std::thread helper([&] { h.End(h.Put(BatchOf(2))); });
  h.Stop();
  h.WaitForEnd();
  helper.join();
  EXPECT_EQ(h.Claim(), std::nullopt);
}

TEST(HelperPool, TakesNoMoreTasksThanItHasThreads) {
  Handover gate(2, 100);  // Only to wait on.
  std::atomic<int> ran{0};
  {
    HelperPool pool(1);
    ASSERT_TRUE(pool.TryRun([&] {
      while (gate.Claim()) {
      }
      ++ran;
      gate.End({});
    }));
    gate.WaitForEnd();
    HelperPool none(0);
    EXPECT_FALSE(none.TryRun([] {}));
  }
  EXPECT_EQ(ran, 1);

  std::atomic<bool> go{false};
  HelperPool pool(1);
  ASSERT_TRUE(pool.TryRun([&] {
    while (!go) std::this_thread::yield();
    ++ran;
  }));
  EXPECT_FALSE(pool.TryRun([&] { ++ran; })) << "its one thread is at work";
  go = true;
}

}  // namespace
}  // namespace vedette::promql
