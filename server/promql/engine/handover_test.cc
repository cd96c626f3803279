#include "server/promql/engine/handover.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "server/promql/engine/helper_pool.h"

namespace vedette::promql {
namespace {

Handover::Batch BatchOf(uint64_t samples, bool last = false, uint64_t bytes = 100) {
  Handover::Batch b;
  b.columns.push_back({.samples = samples});
  b.bytes = bytes;
  b.last = last;
  return b;
}

TEST(Handover, PartsAreDoneByWhoeverClaimsThemFirst) {
  Handover h(3, 1000);
  EXPECT_TRUE(h.ClaimOwn(0));
  EXPECT_EQ(h.Claim(), std::optional<size_t>(1));
  EXPECT_FALSE(h.ClaimOwn(1)) << "the helper has it";
  EXPECT_TRUE(h.ClaimOwn(2));
  EXPECT_EQ(h.Claim(), std::nullopt);
}

TEST(Handover, WhatCameBeforeAFailureComesBeforeIt) {
  Handover h(1, 1000);
  ASSERT_TRUE(h.Claim().has_value());
  ASSERT_TRUE(h.Put(BatchOf(1)).ok());
  h.End(Internal("broken"));
  const Result<Handover::Batch> first = h.Take();
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->columns[0].samples, 1u);
  EXPECT_EQ(h.Take().status().message(), "broken");
}

TEST(Handover, AHelperIsNeverMuchAhead) {
  constexpr uint64_t kBatches = 100;
  Handover h(1, 250);
  std::atomic<uint64_t> put{0};
  std::thread helper([&] {
    Status status;
    while (h.Claim()) {
      for (uint64_t i = 1; i <= kBatches && status.ok(); ++i) {
        status = h.Put(BatchOf(i, i == kBatches));
        put += status.ok();
      }
    }
    h.End(std::move(status));
  });
  for (uint64_t taken = 1; taken <= kBatches; ++taken) {
    const Result<Handover::Batch> b = h.Take();
    ASSERT_TRUE(b.ok());
    EXPECT_EQ(b->columns[0].samples, taken) << "in order";
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
