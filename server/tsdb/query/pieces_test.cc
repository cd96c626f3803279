#include "server/tsdb/query/pieces.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "common/model/histogram.h"
#include "common/model/sample.h"
#include "server/storage/queryable.h"

namespace vedette::tsdb {
namespace {

using Times = std::vector<int64_t>;
using Values = std::vector<double>;

void Add(Pieces& pieces, const Times& t_ms, const Values& values, uint64_t identity,
         bool may_be_stale = false) {
  std::ranges::copy(values, pieces.Room(values.size()).begin());
  pieces.Add(t_ms, identity, may_be_stale);
}

void Expect(Pieces& pieces, const Times& t_ms, const Values& values) {
  const storage::SeriesColumns& c = pieces.columns();
  EXPECT_EQ(Times(c.t_ms.begin(), c.t_ms.end()), t_ms);
  EXPECT_EQ(Values(c.values.begin(), c.values.end()), values);
}

TEST(Pieces, OneIsShownAsItIsCutToTheRange) {
  const Times t = {10, 20, 30, 40};
  Pieces pieces;
  Add(pieces, t, {1, 2, 3, 4}, 7);
  ASSERT_TRUE(pieces.Join(15, 30));
  Expect(pieces, {20, 30}, {2, 3});
  const uint64_t key = pieces.columns().timeline_key;
  EXPECT_NE(key, 0u);

  pieces.Clear();
  Add(pieces, t, {5, 6, 7, 8}, 7);
  ASSERT_TRUE(pieces.Join(15, 30));
  Expect(pieces, {20, 30}, {6, 7});
  EXPECT_EQ(pieces.columns().timeline_key, key);

  pieces.Clear();
  Add(pieces, t, {5, 6, 7, 8}, 7);
  EXPECT_FALSE(pieces.Join(41, 50));
  pieces.Clear();
  EXPECT_FALSE(pieces.Join(0, 50));
}

TEST(Pieces, ThoseThatFollowEachOtherArePutEndToEnd) {
  const Times a = {10, 20};
  const Times b = {30, 40};
  Pieces pieces;
  for (double first : {1.0, 100.0}) {  // Again: the instants are those of the time before.
    pieces.Clear();
    Add(pieces, a, {first, first + 1}, 1);
    Add(pieces, b, {first + 2, first + 3}, 2);
    ASSERT_TRUE(pieces.Join(0, 35));
    Expect(pieces, {10, 20, 30}, {first, first + 1, first + 2});
    EXPECT_NE(pieces.columns().timeline_key, 0u);
  }
}

TEST(Pieces, RoomThatWasNotUsedIsGivenAway) {
  const Times t = {10};
  Pieces pieces;
  std::ranges::fill(pieces.Room(1000), 9);  // Turned out to be damaged.
  Add(pieces, t, {1}, 1);
  const Times tail = {40, 50};
  std::ranges::copy(Values{2, 3, 4, 5}, pieces.Room(4).begin());
  pieces.Add(tail, 2, false, /*skip=*/1);
  ASSERT_TRUE(pieces.Join(0, 100));
  Expect(pieces, {10, 40, 50}, {1, 3, 4});
}

TEST(Pieces, HolesAreLeftOutAndHaveNoKey) {
  const Times t = {10, 20, 30};
  const Times more = {40};
  Pieces pieces;
  for (const bool two : {false, true, false, true}) {
    pieces.Clear();
    Add(pieces, t, {1, kAbsent, 3}, 1);
    if (two) Add(pieces, more, {4}, 2);
    ASSERT_TRUE(pieces.Join(0, 100));
    Expect(pieces, two ? Times{10, 30, 40} : Times{10, 30}, two ? Values{1, 3, 4} : Values{1, 3});
    EXPECT_EQ(pieces.columns().timeline_key, 0u);

    pieces.Clear();  // The next has none, and must not find the instants of the one before.
    Add(pieces, t, {1, 2, 3}, 1);
    if (two) Add(pieces, more, {4}, 2);
    ASSERT_TRUE(pieces.Join(0, 100));
    Expect(pieces, two ? Times{10, 20, 30, 40} : t, two ? Values{1, 2, 3, 4} : Values{1, 2, 3});
  }
  pieces.Clear();
  Add(pieces, t, {kAbsent, kAbsent, kAbsent}, 1);
  EXPECT_FALSE(pieces.Join(0, 100));
}

TEST(Pieces, ThoseThatOverlapAreMergedAndTheFirstWins) {
  const Times a = {10, 30, 50};
  const Times b = {20, 30, 40};
  Pieces pieces;
  Add(pieces, a, {1, 3, 5}, 1);
  Add(pieces, b, {2, 33, 4}, 2);
  ASSERT_TRUE(pieces.Join(0, 45));
  Expect(pieces, {10, 20, 30, 40}, {1, 2, 3, 4});
  EXPECT_EQ(pieces.columns().timeline_key, 0u);

  pieces.Clear();
  Add(pieces, b, {2, 33, 4}, 2);
  Add(pieces, a, {1, 3, 5}, 1);
  pieces.MoveToFront(1);
  ASSERT_TRUE(pieces.Join(25, 30));
  Expect(pieces, {30}, {3});
}

TEST(Pieces, StaleMarkersAreLookedForWhereTheyMayBe) {
  const Times t = {10, 20};
  Pieces pieces;
  Add(pieces, t, {1, kStaleNan}, 1, /*may_be_stale=*/true);
  ASSERT_TRUE(pieces.Join(0, 100));
  EXPECT_TRUE(pieces.columns().has_stale);
  ASSERT_TRUE(pieces.Join(0, 15));
  EXPECT_FALSE(pieces.columns().has_stale);
}

TEST(Pieces, HistogramsStandBesideSamples) {
  const Times t = {10, 30};
  const auto h = std::make_shared<const Histogram>();
  Pieces pieces;
  Add(pieces, t, {1, 3}, 1);
  pieces.AddHistogram(20, h);
  ASSERT_TRUE(pieces.Join(0, 100));
  const storage::SeriesColumns& c = pieces.columns();
  ASSERT_EQ(c.histograms.size(), 3u);
  EXPECT_EQ(c.histograms[0], nullptr);
  EXPECT_EQ(c.histograms[1], h);
  EXPECT_EQ(Times(c.t_ms.begin(), c.t_ms.end()), Times({10, 20, 30}));

  pieces.Clear();
  pieces.AddHistogram(20, h);
  ASSERT_TRUE(pieces.Join(0, 100));
  EXPECT_EQ(pieces.columns().histograms.size(), 1u);
}

}  // namespace
}  // namespace vedette::tsdb
