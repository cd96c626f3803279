#include "server/remote/series_cache.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace vedette::remote {
namespace {

SeriesCache::Entry Named(const SeriesCache& cache, const std::string& bytes, uint64_t ref) {
  SeriesCache::Entry e = cache.Of(bytes, 0);
  e.ref_and_length |= ref << SeriesCache::kLengthBits;
  return e;
}

TEST(SeriesCache, FollowsTheOrderAndFindsTheRest) {
  SeriesCache cache;
  std::vector<SeriesCache::Entry> entries;
  for (uint64_t i = 1; i <= 5000; ++i) entries.push_back(Named(cache, std::to_string(i), i));
  cache.Add(entries, false);
  cache.Add(entries, false);
  EXPECT_EQ(cache.size(), 5000u);
  SeriesCache::Cursor cursor(cache);
  EXPECT_EQ(cursor.expected_length(), 0u);
  EXPECT_EQ(cursor.Find(cache.Of("4095", 0)), 4095u);
  for (uint64_t i = 4096; i <= 5000; ++i) {
    const std::string text = std::to_string(i);
    ASSERT_EQ(cursor.expected_length(), text.size());
    ASSERT_EQ(cursor.Expect(cache.Of(text, 0)), i);
  }
  EXPECT_EQ(cursor.expected_length(), 0u);
  EXPECT_EQ(cursor.jumps(), 1u);
  EXPECT_EQ(cursor.Find(cache.Of("0", 0)), 0u);
  EXPECT_EQ(cursor.Find(cache.Of("1", 1)), 0u);  // Other symbols.
}

TEST(SeriesCache, BeginsAnewWhenItIsFull) {
  SeriesCache cache(10);
  for (uint64_t i = 1; i <= 25; ++i) {
    const SeriesCache::Entry e = Named(cache, std::to_string(i), i);
    cache.Add(std::span(&e, 1), false);
    EXPECT_LE(cache.size(), 10u);
  }
}

TEST(SeriesCache, ReadersAndWritersAtOnce) {
  SeriesCache cache(20'000);
  const auto work = [&](uint64_t seed) {
    for (uint64_t round = 0; round < 300; ++round) {
      SeriesCache::Cursor cursor(cache);
      std::vector<SeriesCache::Entry> entries;
      for (uint64_t i = 1; i <= 100; ++i) {
        const uint64_t number = (seed * 31 + round) * 37 % 900 * 100 + i;
        const std::string text = std::to_string(number);
        SeriesCache::Entry e = cache.Of(text, 0);
        uint64_t ref = cursor.expected_length() == text.size() ? cursor.Expect(e) : 0;
        if (ref == 0) ref = cursor.Find(e);
        if (ref != 0) {
          ASSERT_EQ(ref, number);
        }
        e.ref_and_length |= number << SeriesCache::kLengthBits;
        entries.push_back(e);
      }
      cache.Add(entries, round % 7 == 0);
    }
  };
  std::thread a([&] { work(1); });
  std::thread b([&] { work(5); });
  a.join();
  b.join();
}

}  // namespace
}  // namespace vedette::remote
