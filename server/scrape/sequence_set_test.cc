#include "server/scrape/sequence_set.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace vedette::scrape {
namespace {

TEST(SequenceSet, KnowsWhatWasAddedInAnyOrderAndNothingElse) {
  std::mt19937 random(7);
  SequenceSet ranges;
  std::set<uint64_t> plain;
  for (int i = 0; i < 3000; ++i) {
    const uint64_t first = random() % 4000;
    const uint64_t last = first + random() % 3;
    ranges.Add(first, last);
    for (uint64_t n = first; n <= last; ++n) plain.insert(n);
    const uint64_t probe = random() % 4100;
    ASSERT_EQ(ranges.Contains(probe), plain.contains(probe)) << probe << " after " << i;
  }
}

TEST(SequenceSet, NeighboursAreOneRangeAndTheNumberOfRangesIsBounded) {
  SequenceSet set;
  for (uint64_t n = 10; n < 1000; ++n) set.Add(n);
  EXPECT_EQ(set.ranges(), 1u);
  for (uint64_t n = 0; n < 3 * SequenceSet::kMaxRanges; ++n) set.Add(10'000 + 2 * n);
  EXPECT_LE(set.ranges(), SequenceSet::kMaxRanges);
  EXPECT_TRUE(set.Contains(10'000 + 6 * SequenceSet::kMaxRanges - 2));
  EXPECT_FALSE(set.Contains(10'000 + 6 * SequenceSet::kMaxRanges - 3));
}

}  // namespace
}  // namespace vedette::scrape
