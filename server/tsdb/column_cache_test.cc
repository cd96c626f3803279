#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/model/histogram.h"
#include "common/model/labels.h"
#include "common/model/matcher.h"
#include "common/model/sample.h"
#include "server/storage/appender.h"
#include "server/storage/queryable.h"
#include "server/tsdb/tsdb.h"
#include "tests/support/fake_clock.h"
#include "tests/support/rounds.h"
#include "tests/support/temp_dir.h"

namespace vedette::tsdb {
namespace {

using testing::FakeClock;
using testing::TempDir;

constexpr int64_t kNow = 1'700'000'000'000;
constexpr int64_t kStep = 15'000;
constexpr int64_t kMinute = 60'000;

struct Answer {
  Labels labels;
  std::vector<int64_t> t_ms;
  std::vector<uint64_t> bits;  // Of the values.
  std::vector<bool> histograms;
  bool has_stale = false;
  bool operator==(const Answer&) const = default;
};

class ColumnCacheTest : public ::testing::Test {
 protected:
  void Open(size_t cache_bytes = 1 << 20) {
    db_.reset();
    TsdbOptions o;
    o.path = dir_.path() + "/data";
    o.maintenance_interval_ms = 0;
    o.out_of_order_window_ms = 30 * kMinute;
    o.column_cache_bytes = cache_bytes;
    Result<std::unique_ptr<Tsdb>> db = Tsdb::Open(o, clock_);
    ASSERT_TRUE(db.ok()) << db.status().ToString();
    db_ = *std::move(db);
  }

  // `kept`: through the cache; else past it, in another order, so the order is not compared.
  std::vector<Answer> Read(int64_t min, int64_t max, const std::vector<Matcher>& matchers,
                           bool kept) {
    std::vector<Answer> out;
    auto querier = *db_->queryable().Open(min, max);
    auto set = querier->Select({.start_ms = min, .end_ms = max, .sorted = !kept}, matchers);
    uint64_t key = 0;
    std::vector<int64_t> instants;
    while (set->Next()) {
      const storage::SeriesColumns& c = set->at();
      Answer a{
          .labels = c.labels, .t_ms = {c.t_ms.begin(), c.t_ms.end()}, .has_stale = c.has_stale};
      for (double v : c.values) a.bits.push_back(std::bit_cast<uint64_t>(v));
      for (const auto& h : c.histograms) a.histograms.push_back(h != nullptr);
      if (c.timeline_key != 0 && c.timeline_key == key) {
        EXPECT_EQ(instants, a.t_ms);
      }
      key = c.timeline_key;
      instants = a.t_ms;
      out.push_back(std::move(a));
    }
    EXPECT_TRUE(set->status().ok()) << set->status().ToString();
    std::ranges::sort(out, [](const Answer& a, const Answer& b) { return a.labels < b.labels; });
    return out;
  }

  void ExpectSame(int64_t min, int64_t max, const std::vector<Matcher>& matchers) {
    const std::vector<Answer> want = Read(min, max, matchers, false);
    const std::vector<Answer> got = Read(min, max, matchers, true);
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_EQ(got[i], want[i]) << got[i].labels.ToString() << " " << got[i].t_ms.size()
                                 << " samples for " << want[i].t_ms.size();
    }
  }

  uint64_t hits() const { return db_->stats().column_cache_hits; }

  static Labels Named(int host, int i) {
    return Labels::Of({{"__name__", "m" + std::to_string(i % 3)},
                       {"host", "h" + std::to_string(host)},
                       {"i", std::to_string(i)}});
  }

  TempDir dir_;
  FakeClock clock_{kNow};
  std::unique_ptr<Tsdb> db_;
};

TEST_F(ColumnCacheTest, WhatIsAskedAgainIsNotReadAgain) {
  Open();
  auto writer = db_->appender().OpenTimeline("node");
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(writer->AddSeries(Named(1, i)).ok());
  const std::vector<Matcher> m0 = {Matcher::Equal("__name__", "m0")};
  int64_t t = kNow;
  // Over several chunks: rows leave memory, and what is kept goes on without the disk.
  for (int step = 0; step < 400; ++step, t += kStep) {
    clock_.Set(t);
    const std::vector<double> row(6, step);
    ASSERT_TRUE(writer->Commit({.t_ms = t, .values = row}).ok());
    ExpectSame(t - 5 * kMinute + 1, t, m0);
    ExpectSame(t - 60 * kMinute + 1, t, m0);
  }
  const TsdbStats stats = db_->stats();
  EXPECT_GT(stats.column_cache_hits, 780u);
  EXPECT_LT(stats.column_cache_fills, 10u);
  EXPECT_GT(stats.column_cache_bytes, 0u);
}

TEST_F(ColumnCacheTest, ARangeMayBeAllOfTime) {
  Open();
  auto writer = db_->appender().OpenTimeline("node");
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(writer->AddSeries(Named(1, i)).ok());
  const std::vector<Matcher> m0 = {Matcher::Equal("__name__", "m0")};
  for (int step = 0; step < 20; ++step) {
    clock_.Set(kNow + step * kStep);
    const std::vector<double> row(6, step);
    ASSERT_TRUE(writer->Commit({.t_ms = kNow + step * kStep, .values = row}).ok());
    ExpectSame(INT64_MIN, INT64_MAX, m0);
  }
  EXPECT_EQ(Read(INT64_MIN, INT64_MAX, m0, true).size(), 2u);
}

TEST_F(ColumnCacheTest, ALateSampleAndADeletionAreSeenAtOnce) {
  Open();
  auto writer = db_->appender().OpenTimeline("node");
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(writer->AddSeries(Named(1, i)).ok());
  const std::vector<Matcher> all = {Matcher::Equal("host", "h1")};
  for (int step = 0; step < 40; ++step) {
    const std::vector<double> row(3, step);
    ASSERT_TRUE(writer->Commit({.t_ms = kNow + step * kStep, .values = row}).ok());
  }
  const int64_t end = kNow + 40 * kStep;
  for (int i = 0; i < 4; ++i) ExpectSame(kNow, end, all);
  EXPECT_GT(hits(), 0u);
  const std::vector<double> late(3, -1);
  ASSERT_TRUE(writer->Commit({.t_ms = kNow + kStep / 2, .values = late}).ok());
  EXPECT_EQ(Read(kNow, end, all, true)[0].t_ms.size(), 41u);
  const std::vector<std::vector<Matcher>> selectors = {{Matcher::Equal("i", "0")}};
  ASSERT_TRUE(db_->Delete(selectors, INT64_MIN, INT64_MAX).ok());
  EXPECT_EQ(Read(kNow, end, all, true).size(), 2u);
}

TEST_F(ColumnCacheTest, ItsRoomIsItsLimit) {
  Open(/*cache_bytes=*/64 << 10);
  std::vector<std::unique_ptr<storage::TimelineWriter>> writers;
  for (int host = 0; host < 40; ++host) {
    writers.push_back(db_->appender().OpenTimeline("node"));
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(writers.back()->AddSeries(Named(host, i)).ok());
  }
  for (int step = 0; step < 60; ++step) {
    const int64_t t = kNow + step * kStep;
    const std::vector<double> row(3, step);
    for (auto& w : writers) ASSERT_TRUE(w->Commit({.t_ms = t, .values = row}).ok());
    for (int host = 0; host < 40; ++host) {
      ExpectSame(t - 5 * kMinute, t, {Matcher::Equal("host", "h" + std::to_string(host))});
    }
    ExpectSame(t - 60 * kMinute, t, {});  // Too large to be kept.
    EXPECT_LE(db_->stats().column_cache_bytes, 64u << 10);
  }
  EXPECT_GT(hits(), 0u);
}

TEST_F(ColumnCacheTest, WhatOutgrowsItsPartIsGivenUp) {
  constexpr size_t kRoom = 64 << 10;
  Open(kRoom);
  auto writer = db_->appender().OpenTimeline("node");
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(writer->AddSeries(Named(1, i)).ok());
  const std::vector<Matcher> all = {Matcher::Equal("host", "h1")};
  // Small when it is first kept; 6 x 600 samples of 8 bytes are more than a quarter.
  for (int step = 0; step < 600; ++step) {
    const int64_t t = kNow + step * kStep;
    clock_.Set(t);
    const std::vector<double> row(6, step);
    ASSERT_TRUE(writer->Commit({.t_ms = t, .values = row}).ok());
    ExpectSame(kNow, t, all);
    EXPECT_LE(db_->stats().column_cache_bytes, kRoom / 4) << step;
  }
  EXPECT_GT(hits(), 0u);
}

// Whatever happens to a storage, what is kept and what is read are the same.
TEST_F(ColumnCacheTest, NoHistoryMakesADifference) {
  uint64_t all_hits = 0;
  for (uint32_t seed = 1; seed <= testing::Rounds(8u); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    const auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
    Open();
    std::vector<std::unique_ptr<storage::TimelineWriter>> writers(3);
    std::vector<int> layout(3);
    int64_t t = kNow + seed * 40'000'000ll;
    const auto histogram = std::make_shared<Histogram>();
    // Seeds differ in how wild life is: the quiet ones show what is kept, the wild ones what not.
    const int wildness = static_cast<int>(seed % 4);
    for (int step = 0; step < 160; ++step) {
      t += kStep + pick(3);
      clock_.Set(t);
      for (int host = 0; host < 3; ++host) {
        auto& w = writers[static_cast<size_t>(host)];
        int& size = layout[static_cast<size_t>(host)];
        if (w == nullptr || pick(60) < wildness) {
          w = db_->appender().OpenTimeline("node");
          size = 0;
        }
        while (size < 4 || (size < 9 && pick(50) < wildness)) {
          ASSERT_TRUE(w->AddSeries(Named(host, size)).ok());
          ++size;
        }
        std::vector<double> row(static_cast<size_t>(size));
        for (double& v : row) {
          v = pick(100) < wildness * 5   ? kAbsent
              : pick(100) < wildness * 2 ? kStaleNan
                                         : pick(1000);
        }
        ASSERT_TRUE(w->Commit({.t_ms = t - host * 100, .values = row}).ok());
        if (pick(100) < wildness * 2) {  // Fills holes, in between, or far back.
          ASSERT_TRUE(w->Commit({.t_ms = t - host * 100 - pick(3) * 40'000, .values = row}).ok());
        }
      }
      if (pick(4) == 0) {  // A series without a timeline of its own.
        const Sample samples[] = {{t - pick(wildness + 1) * 20'000, 1.0 * step}};
        const storage::SeriesBatch::HistogramSample h[] = {{t, histogram}};
        storage::SeriesBatch batch;
        batch.labels = Named(7, pick(3));
        batch.samples = samples;
        if (wildness == 3 && pick(10) == 0) batch.histograms = h;
        ASSERT_TRUE(db_->appender().Write(std::span(&batch, 1)).ok());
      }
      if (pick(80) < wildness) {
        ASSERT_TRUE(db_->Compact().ok());
      }
      if (pick(40) < wildness) {
        ASSERT_TRUE(db_->Maintain().ok());
      }
      if (pick(120) < wildness) {
        const std::vector<std::vector<Matcher>> selectors = {
            {Matcher::Equal("i", std::to_string(pick(4)))}};
        ASSERT_TRUE(db_->Delete(selectors, t - pick(20) * kMinute, t).ok());
      }
      const int64_t end = t - pick(2) * kMinute + pick(3) * 500;
      ExpectSame(end - 5 * kMinute + 1, end, {Matcher::Equal("__name__", "m0")});
      ExpectSame(end - 5 * kMinute + 1, end, {Matcher::Equal("host", "h1")});
      ExpectSame(end - (1 + pick(40)) * kMinute, end, {Matcher::Equal("__name__", "m1")});
      ExpectSame(end - 5 * kMinute, end, {Matcher::Equal("host", "h7")});
      ExpectSame(end - 5 * kMinute, end, {Matcher::Equal("host", "nobody")});
      if (HasFatalFailure()) return;
    }
    all_hits += hits();
    writers.clear();
  }
  EXPECT_GT(all_hits, testing::Rounds(1000u));
}

}  // namespace
}  // namespace vedette::tsdb
