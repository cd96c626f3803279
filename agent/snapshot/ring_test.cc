#include "agent/snapshot/ring.h"

#include <gtest/gtest.h>

#include "common/model/labels.h"
#include "common/model/metric_family.h"
#include "common/model/snapshot.h"

namespace vedette::agent {
namespace {

Snapshot Make(uint64_t sequence) {
  Snapshot s{.run_id = 1, .sequence = sequence, .t_ms = static_cast<int64_t>(sequence) * 1000};
  MetricFamily f{.name = "x", .metadata = {.help = "h"}};
  f.samples.push_back(
      {.labels = Labels::Of({{"__name__", "x"}}), .value = static_cast<double>(sequence * 10)});
  s.sources.push_back({.state = {.name = "host", .up = true}, .families = {f}});
  return s;
}

std::vector<uint64_t> Sequences(const std::vector<Snapshot>& snapshots) {
  std::vector<uint64_t> out;
  for (const Snapshot& s : snapshots) {
    EXPECT_EQ(s.t_ms, static_cast<int64_t>(s.sequence) * 1000);
    EXPECT_EQ(s.sources.at(0).families.at(0).samples.at(0).value,
              static_cast<double>(s.sequence * 10));
    out.push_back(s.sequence);
  }
  return out;
}

TEST(Ring, GivesBackWhatNobodyHasOldestFirst) {
  Ring ring(1 << 20);
  for (uint64_t i = 1; i <= 200; ++i) ring.Push(Make(i));
  EXPECT_EQ(Sequences(ring.Oldest(3)), (std::vector<uint64_t>{1, 2, 3}));
  ring.Done(std::vector<uint64_t>{1, 2, 3, 5, 999});
  EXPECT_EQ(Sequences(ring.Oldest(3)), (std::vector<uint64_t>{4, 6, 7}));
  EXPECT_EQ(Sequences(ring.Oldest(2, std::vector<uint64_t>{4, 7})), (std::vector<uint64_t>{6, 8}));
  EXPECT_EQ(ring.waiting(), 196u);
  EXPECT_EQ(ring.Oldest(1000).size(), 196u);
  EXPECT_EQ(ring.dropped(), 0u);
}

TEST(Ring, IsEmptyAgainWhenEverythingArrived) {
  Ring ring(1 << 20);
  for (uint64_t i = 1; i <= 200; ++i) {
    ring.Push(Make(i));
    ring.Done(std::vector<uint64_t>{i});
  }
  EXPECT_EQ(ring.waiting(), 0u);
  EXPECT_TRUE(ring.Oldest(10).empty());
  // One segment at most stays behind.
  EXPECT_LT(ring.bytes(), 20'000u);
  ring.Push(Make(201));
  EXPECT_EQ(Sequences(ring.Oldest(10)), (std::vector<uint64_t>{201}));
}

TEST(Ring, DropsTheOldestBeyondItsBoundAndCountsThem) {
  Ring ring(20'000);
  for (uint64_t i = 1; i <= 1000; ++i) ring.Push(Make(i));
  EXPECT_LE(ring.bytes(), 20'000u);
  EXPECT_GT(ring.dropped(), 0u);
  const std::vector<uint64_t> left = Sequences(ring.Oldest(2000));
  ASSERT_FALSE(left.empty());
  EXPECT_EQ(left.back(), 1000u);
  EXPECT_EQ(left.front(), 1000 - left.size() + 1);
  EXPECT_EQ(ring.dropped() + ring.waiting(), 1000u);
}

TEST(Ring, ASnapshotLargerThanTheBoundIsDroppedAndSoCounted) {
  Ring ring(10);
  ring.Push(Make(1));
  EXPECT_EQ(ring.waiting(), 0u);
  EXPECT_EQ(ring.dropped(), 1u);
  ring.Push(Make(2));
  EXPECT_EQ(ring.dropped(), 2u);
}

}  // namespace
}  // namespace vedette::agent
