#include "server/tsdb/chunk/rollup.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/model/sample.h"
#include "server/storage/queryable.h"

namespace vedette::tsdb {
namespace {

using storage::RolledUp;

constexpr int64_t kMinute = 60'000;

bool Same(const RolledUp& a, const RolledUp& b) {
  const auto same = [](double x, double y) {
    return std::bit_cast<uint64_t>(x) == std::bit_cast<uint64_t>(y);
  };
  return a.count == b.count && a.first_ms == b.first_ms && a.last_ms == b.last_ms &&
         same(a.first, b.first) && same(a.last, b.last) && same(a.min, b.min) &&
         same(a.max, b.max) && same(a.sum, b.sum) && same(a.lost, b.lost);
}

std::vector<RolledUp> Rolled(const std::vector<int64_t>& t, const std::vector<double>& v,
                             int64_t resolution) {
  std::vector<RolledUp> out;
  EXPECT_TRUE(RollUp(t, v, resolution, out));
  return out;
}

TEST(Rollup, AStretchEndsWithTheSampleAtItsEnd) {
  const std::vector<RolledUp> got = Rolled({-60'000, -1, 0, 1, 59'999, 60'000, 60'001},
                                           {7, 5, 6, 1, 2, 3, 4}, kMinute);
  ASSERT_EQ(got.size(), 4u);
  EXPECT_EQ(got[0].last_ms, -60'000);
  EXPECT_EQ(got[1].first_ms, -1);
  EXPECT_EQ(got[1].last_ms, 0);
  EXPECT_EQ(got[2].count, 3u);
  EXPECT_EQ(got[2].sum, 6);
  EXPECT_EQ(got[3].first, 4);
}

TEST(Rollup, CountersThatWereResetSayWhatTheyLost) {
  const std::vector<RolledUp> got =
      Rolled({1000, 2000, 3000, 4000, 5000}, {10, 4, 9, 2, 3}, kMinute);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].lost, 19);
  EXPECT_EQ(got[0].min, 2);
  EXPECT_EQ(got[0].max, 10);
}

TEST(Rollup, HolesAndStaleMarkersAreNoSamplesAndNanIsOne) {
  const std::vector<RolledUp> got =
      Rolled({1000, 2000, 3000, 4000}, {kAbsent, std::nan(""), kStaleNan, 1}, kMinute);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].count, 2u);
  EXPECT_EQ(got[0].first_ms, 2000);
  EXPECT_EQ(got[0].min, 1);
  EXPECT_EQ(got[0].max, 1);
  EXPECT_TRUE(std::isnan(got[0].sum));
  EXPECT_TRUE(Rolled({1000}, {kStaleNan}, kMinute).empty());
}

TEST(Rollup, ASumThatOverflowsIsRefusedAndAnInfiniteValueIsNot) {
  constexpr double kLarge = std::numeric_limits<double>::max();
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  std::vector<RolledUp> out;
  EXPECT_FALSE(RollUp(std::vector<int64_t>{1, 2}, std::vector<double>{kLarge, kLarge}, kMinute, out));
  EXPECT_TRUE(RollUp(std::vector<int64_t>{1, 2}, std::vector<double>{kLarge, kInfinite}, kMinute, out));
  EXPECT_EQ(out[0].sum, kInfinite);
}

std::vector<RolledUp> Random(std::mt19937_64& random) {
  std::vector<int64_t> t;
  std::vector<double> v;
  const uint64_t shape = random() % 3;
  double at = 0;
  int64_t now = static_cast<int64_t>(random() % 10'000'000) - 5'000'000;
  for (size_t i = 0; i < 1 + random() % 300; ++i) {
    now += 1 + static_cast<int64_t>(random() % 30'000);
    at = shape == 0   ? at + static_cast<double>(random() % 100)
         : shape == 1 ? static_cast<double>(random() % 1000) / 10
                      : std::bit_cast<double>(random());
    t.push_back(now);
    v.push_back(IsAbsent(at) || IsStale(at) ? 1 : at);
  }
  std::vector<RolledUp> out;
  return RollUp(t, v, kMinute, out) ? out : Random(random);
}

TEST(Rollup, RoundTripsToTheBit) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 300; ++i) {
    const std::vector<RolledUp> want = Random(random);
    std::vector<RolledUp> got;
    const Status s = DecodeRollup(EncodeRollup(want), got);
    ASSERT_TRUE(s.ok()) << s.ToString();
    ASSERT_EQ(got.size(), want.size());
    for (size_t k = 0; k < got.size(); ++k) ASSERT_TRUE(Same(got[k], want[k])) << i << " " << k;
  }
}

TEST(Rollup, EveryTruncationAndBitFlipIsDataLoss) {
  const std::string good =
      EncodeRollup(Rolled({1000, 2000, 61'000, 62'000}, {3, 1, 4.5, 9}, kMinute));
  std::vector<RolledUp> out;
  for (size_t n = 0; n < good.size(); ++n) {
    EXPECT_EQ(DecodeRollup(std::string_view(good).substr(0, n), out).code(), StatusCode::kDataLoss);
  }
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ 1 << (bit % 8));
    EXPECT_EQ(DecodeRollup(bad, out).code(), StatusCode::kDataLoss) << "bit " << bit;
  }
}

TEST(Rollup, TheBytesAreFrozen) {
  const std::string bytes = EncodeRollup(Rolled({1000, 2000, 61'000}, {3, 5, 9}, kMinute));
  std::string hex;
  for (const char c : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    hex += kDigits[static_cast<uint8_t>(c) >> 4];
    hex += kDigits[static_cast<uint8_t>(c) & 15];
  }
  EXPECT_EQ(hex, "0702d00f00f0990701d00fcf0f0104010201060c02010a08020110020ef2b561");
}

// A day of a counter every 15 s in stretches of an hour, and of five minutes.
TEST(Rollup, IsSmall) {
  std::vector<int64_t> t;
  std::vector<double> v;
  for (int i = 0; i < 5760; ++i) {
    t.push_back(1'700'000'000'000 + i * 15'000);
    v.push_back(static_cast<double>(i * 7 + i % 3));
  }
  EXPECT_LT(EncodeRollup(Rolled(t, v, 60 * kMinute)).size(), 200u);
  EXPECT_LT(EncodeRollup(Rolled(t, v, 5 * kMinute)).size(), 1600u);
}

}  // namespace
}  // namespace vedette::tsdb
