// The selectors of one query see the rows of a timeline as the first of them found them.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/model/labels.h"
#include "common/model/matcher.h"
#include "server/storage/appender.h"
#include "server/storage/queryable.h"
#include "server/tsdb/tsdb.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace vedette::tsdb {
namespace {

constexpr int64_t kStart = 1'700'000'000'000;
constexpr int64_t kStep = 15'000;
constexpr int64_t kFar = kStart + 1'000'000 * kStep;

class MomentTest : public ::testing::TestWithParam<size_t> {
 protected:
  MomentTest() {
    TsdbOptions o;
    o.path = dir_.path() + "/data";
    o.retention_ms = 0;
    o.maintenance_interval_ms = 0;
    o.column_cache_bytes = GetParam();
    Result<std::unique_ptr<Tsdb>> db = Tsdb::Open(o, clock_);
    EXPECT_TRUE(db.ok()) << db.status().ToString();
    db_ = *std::move(db);
    writer_ = db_->appender().OpenTimeline("job");
    for (const char* name : {"a", "b"}) {
      EXPECT_TRUE(writer_->AddSeries(Labels::Of({{"__name__", name}})).ok());
    }
    CommitUpTo(40);
  }

  // Rows up to the n-th, from the one after the last.
  void CommitUpTo(int64_t n) {
    for (; next_ <= n; ++next_) {
      const std::vector<double> values = {static_cast<double>(next_), static_cast<double>(next_)};
      ASSERT_TRUE(writer_->Commit({.t_ms = kStart + next_ * kStep, .values = values}).ok());
    }
  }

  // The numbers of the rows that a selector of this query sees.
  static std::vector<int64_t> Rows(storage::Querier& query, const std::string& name) {
    const std::vector<Matcher> matchers = {Matcher::Equal("__name__", name)};
    auto set = query.Select({.start_ms = kStart, .end_ms = kFar}, matchers);
    std::vector<int64_t> out;
    while (set->Next()) {
      for (const int64_t t : set->at().t_ms) out.push_back((t - kStart) / kStep);
    }
    EXPECT_TRUE(set->status().ok());
    return out;
  }

  std::unique_ptr<storage::Querier> Query() { return *db_->queryable().Open(kStart, kFar); }

  static std::vector<int64_t> UpTo(int64_t n) {
    std::vector<int64_t> out;
    for (int64_t i = 0; i <= n; ++i) out.push_back(i);
    return out;
  }

  const testing::FakeClock clock_{kFar};
  testing::TempDir dir_;
  std::unique_ptr<Tsdb> db_;
  std::unique_ptr<storage::TimelineWriter> writer_;
  int64_t next_ = 0;
};

// With rows that become a block in between, and those that do not; with what is kept decoded, and
// without.
TEST_P(MomentTest, RowsThatComeBetweenTwoSelectorsAreTheNextQuerys) {
  for (int64_t n = 41; n < 100; ++n) {
    const auto query = Query();
    const std::vector<int64_t> seen = Rows(*query, n % 2 == 0 ? "a" : "b");
    EXPECT_EQ(seen, UpTo(n - 1));
    CommitUpTo(n);
    EXPECT_EQ(Rows(*query, n % 2 == 0 ? "b" : "a"), seen);
    EXPECT_EQ(Rows(*query, n % 2 == 0 ? "a" : "b"), seen);
    EXPECT_EQ(Rows(*Query(), "a"), UpTo(n));
    EXPECT_EQ(Rows(*Query(), "b"), UpTo(n));
  }
  EXPECT_EQ(db_->stats().column_cache_hits > 0, GetParam() > 0);
}

// They are on disk then: what the query has seen is there, newer rows may be.
TEST_P(MomentTest, RowsThatLeaveMemoryMeanwhileAreNotMissed) {
  const auto query = Query();
  EXPECT_EQ(Rows(*query, "a"), UpTo(40));
  CommitUpTo(300);
  std::vector<int64_t> later = Rows(*query, "b");
  ASSERT_GE(later.size(), 41u);
  later.resize(41);
  EXPECT_EQ(later, UpTo(40));
  EXPECT_EQ(Rows(*Query(), "b"), UpTo(300));
}

INSTANTIATE_TEST_SUITE_P(Cache, MomentTest, ::testing::Values(0, 1 << 20));

}  // namespace
}  // namespace vedette::tsdb
