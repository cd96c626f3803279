// Series that come and go: what is left of them once their data are gone.
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/model/labels.h"
#include "common/model/matcher.h"
#include "common/model/sample.h"
#include "server/storage/appender.h"
#include "server/storage/queryable.h"
#include "server/tsdb/tsdb.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace vedette::tsdb {
namespace {

constexpr int64_t kHour = 3600 * 1000;
constexpr int64_t kStart = 1'700'000'000'000 / kHour * kHour;
constexpr int64_t kSamples = 4;  // Of a series in an hour.

class ForgetTest : public ::testing::Test {
 protected:
  void Open() {
    db_.reset();
    TsdbOptions o;
    o.path = dir_.path() + "/data";
    o.maintenance_interval_ms = 0;
    o.window_ms = kHour;
    o.retention_ms = 3 * kHour;
    o.idle_ms = kHour / 2;
    o.merge_bytes_per_second = 0;
    o.forget_at_least = 10;
    Result<std::unique_ptr<Tsdb>> db = Tsdb::Open(o, clock_);
    ASSERT_TRUE(db.ok()) << db.status().ToString();
    db_ = *std::move(db);
  }

  // `count` series of that kind get samples through the hour.
  void Hour(int64_t hour, const std::string& kind, size_t count) {
    for (int64_t k = 0; k < kSamples; ++k) {
      const Sample sample{kStart + hour * kHour + k * kHour / kSamples, static_cast<double>(hour)};
      std::vector<storage::SeriesBatch> batch(count);
      for (size_t i = 0; i < count; ++i) {
        batch[i] = {.labels = Labels::Of({{"__name__", "m" + std::to_string(i % 20)},
                                          {"job", "churn"},
                                          {"pod", kind + "-" + std::to_string(i)}}),
                    .samples = std::span(&sample, 1)};
      }
      clock_.Set(sample.t_ms);
      const auto stats = db_->appender().Write(batch);
      ASSERT_TRUE(stats.ok()) << stats.status().ToString();
      ASSERT_EQ(stats->appended, count);
    }
  }

  void Maintain() {
    for (int i = 0; i < 8; ++i) {
      const Status s = db_->Maintain();
      ASSERT_TRUE(s.ok()) << s.ToString();
    }
  }

  size_t Count(const std::string& pods) {
    auto querier = *db_->queryable().Open(kStart - kHour, kStart + 100 * kHour);
    const Result<Matcher> matcher = Matcher::Make(Matcher::Op::kRegex, "pod", pods);
    EXPECT_TRUE(matcher.ok());
    const std::vector<Matcher> matchers = {*matcher};
    auto set = querier->Select({.start_ms = kStart - kHour, .end_ms = kStart + 100 * kHour}, matchers);
    size_t n = 0;
    for (; set->Next(); ++n) EXPECT_FALSE(set->at().labels.empty());
    EXPECT_TRUE(set->status().ok());
    return n;
  }

  testing::TempDir dir_;
  testing::FakeClock clock_{kStart};
  std::unique_ptr<Tsdb> db_;
};

TEST_F(ForgetTest, ChurnLeavesNothingBehind) {
  constexpr size_t kStay = 50;
  constexpr size_t kBrief = 1000;
  constexpr int64_t kEarly = 10;  // Hours, by when everything has settled.
  Open();
  TsdbStats early;
  for (int64_t hour = 0; hour < 3 * kEarly; ++hour) {
    Hour(hour, "stay", kStay);
    Hour(hour, "hour" + std::to_string(hour), kBrief);
    Maintain();
    // Those of the hours that are kept, of one that is going, and what is not worth it yet.
    EXPECT_LE(db_->stats().series, kStay + 7 * kBrief);
    if (hour == kEarly) {
      ASSERT_TRUE(db_->Compact().ok());
      early = db_->stats();
    }
  }
  ASSERT_TRUE(db_->Compact().ok());
  const TsdbStats late = db_->stats();
  EXPECT_GE(late.forgotten_series, 20 * kBrief);
  EXPECT_LE(late.index_memory_bytes, early.index_memory_bytes * 5 / 4);
  EXPECT_LE(late.disk_bytes, early.disk_bytes * 5 / 4);
  EXPECT_EQ(Count("stay-.*"), kStay);
  EXPECT_EQ(Count("hour29-.*"), kBrief);
  EXPECT_EQ(Count("hour9-.*"), 0u);

  Open();
  const TsdbStats again = db_->stats();
  EXPECT_EQ(again.damaged_chunks, 0u) << again.damage[0];
  // Where a journal would lose little it is not written anew: some of what is in it comes back, to be
  // given up again.
  EXPECT_LE(again.series, late.series + 2 * kBrief);
  EXPECT_EQ(again.lost_series, 0u);
  EXPECT_EQ(Count("stay-.*"), kStay);
  EXPECT_EQ(Count("hour29-.*"), kBrief);
  const Result<VerifyReport> verified = db_->Verify();
  ASSERT_TRUE(verified.ok());
  EXPECT_EQ(verified->problems, 0u);
  // What is written now is not taken for what was there.
  Hour(3 * kEarly, "hour9", kBrief);
  EXPECT_EQ(Count("hour9-.*"), kBrief);
}

TEST_F(ForgetTest, AWriterIsToldThatASeriesItRemembersIsGone) {
  Open();
  Sample sample{kStart, 1};
  std::vector<storage::SeriesBatch> batch(100);
  for (size_t i = 0; i < batch.size(); ++i) {
    batch[i] = {.labels = Labels::Of({{"__name__", "brief"}, {"pod", std::to_string(i)}}),
                .samples = std::span(&sample, 1)};
  }
  std::vector<storage::SeriesRef> refs(batch.size(), 0);
  ASSERT_TRUE(db_->appender().WriteKnown(batch, refs).ok());
  for (int64_t hour = 1; hour < 6; ++hour) {
    Hour(hour, "stay", 10);
    Maintain();
  }
  ASSERT_EQ(db_->stats().forgotten_series, 100u);
  sample.t_ms = clock_.NowMs();
  EXPECT_EQ(db_->appender().WriteSamples(std::span(refs).first(1), std::span(&sample, 1)).status().code(),
            StatusCode::kNotFound);
  EXPECT_EQ(db_->appender().WriteKnown(batch, refs).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Count(".*"), 10u);
  refs.assign(refs.size(), 0);
  ASSERT_TRUE(db_->appender().WriteKnown(batch, refs).ok());
  EXPECT_EQ(Count(".*"), 110u);
}

TEST_F(ForgetTest, TheLastThatCameMayGoAndComeAgain) {
  Open();
  Hour(0, "stay", 10);
  Hour(0, "brief", 100);  // Nobody comes after them: the last journal is theirs.
  for (int64_t hour = 1; hour < 6; ++hour) {
    Hour(hour, "stay", 10);
    Maintain();
  }
  ASSERT_EQ(db_->stats().forgotten_series, 100u);
  Open();
  EXPECT_EQ(db_->stats().series, 10u);
  EXPECT_EQ(db_->stats().damaged_chunks, 0u);
  Hour(6, "brief", 100);
  for (int again = 0; again < 2; ++again) {
    EXPECT_EQ(Count("brief-.*"), 100u);
    EXPECT_EQ(Count("stay-.*"), 10u);
    EXPECT_EQ(db_->stats().lost_series, 0u);
    Open();
  }
  Hour(7, "brief", 100);
  EXPECT_EQ(Count("brief-.*"), 100u);
}

TEST_F(ForgetTest, AQueryThatBeganBeforeKeepsWhatItMayFind) {
  Open();
  Hour(0, "brief", 100);
  Hour(0, "stay", 10);
  Maintain();
  auto querier = *db_->queryable().Open(INT64_MIN, INT64_MAX);
  auto set = querier->Select({.start_ms = INT64_MIN, .end_ms = INT64_MAX}, {});
  ASSERT_TRUE(set->Next());
  for (int64_t hour = 1; hour < 6; ++hour) {
    Hour(hour, "stay", 10);
    Maintain();
  }
  EXPECT_EQ(db_->stats().forgotten_series, 0u);
  size_t n = 1;
  for (; set->Next(); ++n) EXPECT_FALSE(set->at().labels.empty());
  EXPECT_EQ(n, 110u);
  set = nullptr;
  querier = nullptr;
  Maintain();
  EXPECT_EQ(db_->stats().forgotten_series, 100u);
}

}  // namespace
}  // namespace vedette::tsdb
