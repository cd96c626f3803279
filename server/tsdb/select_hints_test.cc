// What a reader says that it does not look at may be left out, and nothing else.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <utility>
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
#include "tests/support/temp_dir.h"

namespace vedette::tsdb {
namespace {

constexpr int64_t kHour = 3600 * 1000;
constexpr int64_t kStart = 472'222 * kHour;
constexpr int64_t kStep = 15'000;
constexpr int kRows = 300;

class SelectHintsTest : public ::testing::Test {
 protected:
  SelectHintsTest() {
    TsdbOptions o;
    o.path = dir_.path() + "/data";
    o.retention_ms = 0;
    o.maintenance_interval_ms = 0;
    o.column_cache_bytes = 0;
    Result<std::unique_ptr<Tsdb>> db = Tsdb::Open(o, clock_);
    EXPECT_TRUE(db.ok()) << db.status().ToString();
    db_ = *std::move(db);
    std::mt19937_64 random(1);
    for (const char* instance : {"a", "b"}) {
      auto writer = db_->appender().OpenTimeline("job");
      for (int s = 0; s < 12; ++s) {
        (void)writer->AddSeries(Labels::Of({{"__name__", "m" + std::to_string(s / 3)},
                                            {"cpu", std::to_string(s % 3)},
                                            {"instance", instance},
                                            {"job", "node"}}));
      }
      auto histogram = std::make_shared<Histogram>();
      histogram->count = 3;
      for (int r = 0; r < kRows; ++r) {
        std::vector<double> values(12);
        for (double& v : values) {
          const uint64_t kind = random() % 16;
          v = kind == 0   ? kStaleNan
              : kind == 1 ? kAbsent
                          : static_cast<double>(random() % 1000) / 8;
        }
        // Half of the series are without holes, as most are.
        for (size_t s = 0; s < 6; ++s) values[s] = static_cast<double>(r * 7 % 50);
        std::vector<storage::HistogramAt> histograms;
        if (r % 50 == 7) {
          values[11] = kAbsent;
          histograms.push_back({11, histogram});
        }
        const auto stats = writer->Commit(
            {.t_ms = kStart + r * kStep, .values = values, .histograms = histograms});
        EXPECT_TRUE(stats.ok()) << stats.status().ToString();
      }
      if (instance == std::string("a")) {
        EXPECT_TRUE(db_->Compact().ok());  // One of the two stays in memory, in part.
      }
    }
  }

  struct Answer {
    std::string labels;
    std::vector<int64_t> t_ms;
    std::vector<int> kinds;  // 0 a number, 1 a stale marker, 2 a histogram.
    bool operator==(const Answer&) const = default;
  };

  std::vector<Answer> Read(const storage::SelectHints& hints) {
    auto querier = *db_->queryable().Open(hints.start_ms, hints.end_ms);
    const std::vector<Matcher> matchers = {Matcher::Equal("job", "node")};
    auto set = querier->Select(hints, matchers);
    std::vector<Answer> out;
    while (set->Next()) {
      const storage::SeriesColumns& c = set->at();
      Answer a{.labels = c.labels.ToString(), .t_ms = {c.t_ms.begin(), c.t_ms.end()}};
      for (size_t i = 0; i < c.values.size(); ++i) {
        const bool histogram = !c.histograms.empty() && c.histograms[i] != nullptr;
        EXPECT_FALSE(!histogram && IsAbsent(c.values[i]));
        a.kinds.push_back(histogram ? 2 : IsStale(c.values[i]) ? 1 : 0);
        EXPECT_TRUE(a.kinds.back() != 1 || c.has_stale);
      }
      out.push_back(std::move(a));
    }
    EXPECT_TRUE(set->status().ok());
    EXPECT_TRUE(set->warnings().empty());
    return out;
  }

  const testing::FakeClock clock_{kStart + kHour * 3};
  testing::TempDir dir_;
  std::unique_ptr<Tsdb> db_;
};

TEST_F(SelectHintsTest, PresenceAloneIsTheSameInstantsAndMarkers) {
  for (const int64_t from : {kStart, kStart + 40 * kStep, kStart + 295 * kStep}) {
    for (const int64_t to : {kStart + 41 * kStep, kStart + kRows * kStep}) {
      storage::SelectHints hints{.start_ms = from, .end_ms = to};
      const std::vector<Answer> want = Read(hints);
      hints.presence_only = true;
      EXPECT_EQ(Read(hints), want);
      EXPECT_TRUE(from > to || !want.empty());
    }
  }
}

TEST_F(SelectHintsTest, LabelsThatAreAskedForAreThere) {
  storage::SelectHints hints{.start_ms = kStart, .end_ms = kStart + kRows * kStep};
  const std::vector<Answer> all = Read(hints);
  ASSERT_EQ(all.size(), 24u);
  using Names = std::vector<std::string>;
  for (const Names& names : {Names{}, Names{"cpu"}, Names{"instance", "__name__"},
                             Names{"nothing"}, Names{"cpu", "instance", "job", "__name__"}}) {
    hints.labels.reset();
    auto querier = *db_->queryable().Open(hints.start_ms, hints.end_ms);
    const std::vector<Matcher> matchers = {Matcher::Equal("job", "node")};
    auto whole = querier->Select(hints, matchers);
    hints.labels = names;
    auto some = querier->Select(hints, matchers);
    while (whole->Next()) {
      ASSERT_TRUE(some->Next());
      EXPECT_EQ(some->at().labels, whole->at().labels.Only(names));
      EXPECT_EQ(some->at().t_ms.size(), whole->at().t_ms.size());
    }
    EXPECT_FALSE(some->Next());
  }
}

}  // namespace
}  // namespace vedette::tsdb
