#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/model/histogram.h"
#include "common/model/labels.h"
#include "common/model/matcher.h"
#include "common/model/sample.h"
#include "server/promql/engine.h"
#include "server/promql/value.h"
#include "server/storage/appender.h"
#include "server/tsdb/tsdb.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace vedette::promql {
namespace {

constexpr int64_t kMinute = 60'000;
constexpr int64_t kHour = 60 * kMinute;
constexpr int64_t kWindow = 6 * kHour;
constexpr int64_t kStart = 1'700'006'400'000 / kWindow * kWindow;

// Two storages that are told the same, of which one rolls up.
class RollupsTest : public ::testing::Test {
 protected:
  struct Side {
    testing::TempDir dir;
    std::unique_ptr<tsdb::Tsdb> db;
    std::unique_ptr<storage::TimelineWriter> writer;
    size_t added = 0;
    std::vector<int64_t> rollups_ms;

    void Open(const Clock& clock) {
      writer.reset();
      db.reset();
      tsdb::TsdbOptions o;
      o.path = dir.path() + "/data";
      o.window_ms = kWindow;
      o.retention_ms = 0;
      o.rollups_ms = rollups_ms;
      o.out_of_order_window_ms = 100 * kWindow;
      o.maintenance_interval_ms = 0;
      o.merge_bytes_per_second = 0;
      o.column_cache_bytes = 0;  // What is decoded is counted.
      Result<std::unique_ptr<tsdb::Tsdb>> opened = tsdb::Tsdb::Open(o, clock);
      ASSERT_TRUE(opened.ok()) << opened.status().ToString();
      db = *std::move(opened);
    }
  };

  void SetUp() override {
    with_.rollups_ms = {5 * kMinute, kHour};
    clock_.Set(kStart);
    for (Side* side : {&with_, &without_}) side->Open(clock_);
  }
  void TearDown() override {
    for (Side* side : {&with_, &without_}) side->writer.reset();
  }

  static Labels Named(size_t i) {
    return Labels::Of({{"__name__", i % 2 == 0 ? "c_total" : "gauge"}, {"i", std::to_string(i)}});
  }

  // Rows of eight series every 15 s or so, up to `until`.
  void Scrape(int64_t until) {
    constexpr size_t kSeries = 8;
    while (now_ < until) {
      now_ += 14'990 + static_cast<int64_t>(random_() % 20);
      clock_.Set(now_);
      values_.resize(kSeries);
      for (size_t i = 0; i < kSeries; ++i) {
        double& v = values_[i];
        if (i % 2 == 1) {
          v = static_cast<double>(random_() % 2000) / 7 - 100;
          if (i == 7 && random_() % 100 == 0) v = std::nan("");
        } else {
          v = std::isnan(v) ? 0 : v + static_cast<double>(random_() % 100);
          if (i > 0 && random_() % 200 == 0) v = static_cast<double>(random_() % 5);
        }
      }
      std::vector<double> row = values_;
      for (size_t i = 2; i < kSeries; ++i) {
        if (random_() % 30 == 0) row[i] = random_() % 4 == 0 ? kStaleNan : kAbsent;
      }
      for (Side* side : {&with_, &without_}) {
        if (!side->writer) {
          side->writer = side->db->appender().OpenTimeline("job");
          side->added = 0;
        }
        while (side->added < kSeries) {
          ASSERT_TRUE(side->writer->AddSeries(Named(side->added++)).ok());
        }
        ASSERT_TRUE(side->writer->Commit({.t_ms = now_, .values = row}).ok());
      }
    }
  }

  template <typename F>
  void Both(F f) {
    for (Side* side : {&with_, &without_}) f(*side->db);
  }

  Result<QueryAnswer> Ask(const Side& side, const Query& query) const {
    return MakeEngine({}, side.db->queryable(), clock_)->Run(query, nullptr);
  }

  // Bytes that were decoded with roll-ups, as a part of those without.
  double Compare(const Query& query) {
    SCOPED_TRACE(query.text + " from " + std::to_string(query.start_ms - kStart) + " to " +
                 std::to_string(query.end_ms - kStart) + " every " + std::to_string(query.step_ms));
    const Result<QueryAnswer> got = Ask(with_, query);
    const Result<QueryAnswer> want = Ask(without_, query);
    EXPECT_TRUE(got.ok() && want.ok()) << got.status().ToString() << want.status().ToString();
    if (!got.ok() || !want.ok()) return 1;
    const bool sums = query.text.find("sum") == 0 || query.text.find("avg") == 0 ||
                      query.text.find("rate") == 0 || query.text.find("increase") == 0;
    const auto same = [&](const Point& a, const Point& b) {
      if (a.t_ms != b.t_ms) return false;
      if (std::isnan(a.value) && std::isnan(b.value)) return true;
      if (!sums) return std::bit_cast<uint64_t>(a.value) == std::bit_cast<uint64_t>(b.value);
      return std::fabs(a.value - b.value) <= 1e-12 * std::max(1.0, std::fabs(b.value));
    };
    std::vector<Series> a, b;
    const auto collect = [](const QueryAnswer& answer, std::vector<Series>& out) {
      if (const auto* m = std::get_if<Matrix>(&answer.value)) out = *m;
      if (const auto* v = std::get_if<Vector>(&answer.value)) {
        for (const VectorSample& s : *v) out.push_back({s.metric, {s.point}});
      }
      std::sort(out.begin(), out.end(),
                [](const Series& x, const Series& y) { return x.metric < y.metric; });
    };
    collect(*got, a);
    collect(*want, b);
    EXPECT_EQ(a.size(), b.size());
    for (size_t s = 0; s < std::min(a.size(), b.size()); ++s) {
      EXPECT_EQ(a[s].metric, b[s].metric);
      EXPECT_EQ(a[s].points.size(), b[s].points.size()) << a[s].metric.ToString();
      for (size_t p = 0; p < std::min(a[s].points.size(), b[s].points.size()); ++p) {
        if (same(a[s].points[p], b[s].points[p])) continue;
        ADD_FAILURE() << a[s].metric.ToString() << " at " << a[s].points[p].t_ms - kStart << ": "
                      << a[s].points[p].value << " for " << b[s].points[p].value;
        return 1;
      }
    }
    return static_cast<double>(got->stats.bytes_decoded) /
           static_cast<double>(std::max<uint64_t>(want->stats.bytes_decoded, 1));
  }

  testing::FakeClock clock_{kStart};
  std::mt19937_64 random_{11};
  int64_t now_ = kStart;
  std::vector<double> values_;
  Side with_;
  Side without_;
};

const std::vector<std::string> kRolled = {
    "rate",           "increase",      "delta",         "sum_over_time",   "avg_over_time",
    "count_over_time", "min_over_time", "max_over_time", "first_over_time", "last_over_time",
    "present_over_time"};
const std::vector<std::string> kOthers = {"irate",   "idelta", "stddev_over_time", "changes",
                                          "resets",  "deriv",  "absent_over_time"};

std::string Call(const std::string& function, const std::string& range) {
  return function + "({__name__=~'c_total|gauge'}[" + range + "])";
}

TEST_F(RollupsTest, AnswerAsTheSamplesDoAndDecodeAFraction) {
  Scrape(kStart + 3 * kWindow + kHour);
  Both([](tsdb::Tsdb& db) { ASSERT_TRUE(db.Compact().ok()); });
  const int64_t end = kStart + 3 * kWindow;
  for (const std::string& f : kRolled) {
    EXPECT_LT(Compare({.text = Call(f, "1h"), .start_ms = kStart + kHour, .end_ms = end, .step_ms = kHour}),
              0.2);
    EXPECT_LT(Compare({.text = Call(f, "10m"), .start_ms = kStart + kHour, .end_ms = end, .step_ms = 5 * kMinute}),
              0.5);
    // One instant, that is no multiple of anything: what lies whole in its window.
    EXPECT_LT(Compare({.text = Call(f, "17h"), .start_ms = end + 12'345, .end_ms = end + 12'345}), 0.8);
    // Of what is not sealed too.
    Compare({.text = Call(f, "3h"), .start_ms = end, .end_ms = now_ / kHour * kHour, .step_ms = kHour});
  }
  for (const std::string& f : kOthers) {
    EXPECT_EQ(Compare({.text = Call(f, "1h"), .start_ms = kStart + kHour, .end_ms = end, .step_ms = kHour}),
              1);
  }
}

TEST_F(RollupsTest, AreNotReadWhereAWindowCutsAStretch) {
  Scrape(kStart + 2 * kWindow + kHour);
  Both([](tsdb::Tsdb& db) { ASSERT_TRUE(db.Compact().ok()); });
  const int64_t end = kStart + 2 * kWindow;
  for (const std::string f : {"rate", "sum_over_time"}) {
    for (const Query& q : std::vector<Query>{
             {.text = Call(f, "10m"), .start_ms = kStart + kHour + 1, .end_ms = end, .step_ms = kHour},
             {.text = Call(f, "7m"), .start_ms = kStart + kHour, .end_ms = end, .step_ms = kHour},
             {.text = Call(f, "10m"), .start_ms = kStart + kHour, .end_ms = end, .step_ms = 7 * kMinute},
         }) {
      EXPECT_EQ(Compare(q), 1);
    }
    // With an offset the windows of a crooked start may lie straight.
    EXPECT_LT(Compare({.text = f + "(c_total[10m] offset 1m)",
                       .start_ms = kStart + kHour + kMinute,
                       .end_ms = end,
                       .step_ms = kHour}),
              0.5);
  }
}

TEST_F(RollupsTest, WhatIsChangedLaterIsSeen) {
  Scrape(kStart + 2 * kWindow + kHour);
  Both([](tsdb::Tsdb& db) { ASSERT_TRUE(db.Compact().ok()); });
  const int64_t end = kStart + 2 * kWindow;
  const auto compare_all = [&] {
    for (const std::string& f : kRolled) {
      Compare({.text = Call(f, "1h"), .start_ms = kStart + kHour, .end_ms = end, .step_ms = kHour});
    }
  };
  // Into a window that is rolled up: in time for no scrape, by remote write.
  const Sample late{kStart + 2 * kHour + 7, 123'456};
  Both([&](tsdb::Tsdb& db) {
    storage::SeriesBatch batch;
    batch.labels = Named(1);
    batch.samples = {&late, 1};
    const auto stats = db.appender().Write({&batch, 1});
    ASSERT_TRUE(stats.ok());
    ASSERT_EQ(stats->appended, 1u);
  });
  const Query of_that = {.text = "max_over_time(gauge{i='1'}[1h])",
                         .start_ms = kStart + kHour,
                         .end_ms = end,
                         .step_ms = kHour};
  EXPECT_GT(Compare(of_that), 0.4) << "in one of two windows this series is read as it is";
  compare_all();
  Both([&](tsdb::Tsdb& db) {
    const std::vector<std::vector<Matcher>> selectors = {{Matcher::Equal("i", "3")}};
    ASSERT_TRUE(db.Delete(selectors, kStart + 90 * kMinute, kStart + 100 * kMinute).ok());
  });
  compare_all();
  // The next compaction rolls them up again.
  Both([](tsdb::Tsdb& db) { ASSERT_TRUE(db.Compact().ok()); });
  EXPECT_LT(Compare(of_that), 0.1);
  compare_all();
}

TEST_F(RollupsTest, AHistogramAmongTheSamplesIsSeen) {
  Scrape(kStart + kWindow + kHour);
  Both([](tsdb::Tsdb& db) { ASSERT_TRUE(db.Compact().ok()); });
  auto h = std::make_shared<Histogram>();
  h->count = h->zero_count = 4;
  h->sum = 9;
  Both([&](tsdb::Tsdb& db) {
    const storage::SeriesBatch::HistogramSample sample{kStart + 2 * kHour + 7, h};
    storage::SeriesBatch batch;
    batch.labels = Named(1);
    batch.histograms = {&sample, 1};
    ASSERT_TRUE(db.appender().Write({&batch, 1}).ok());
  });
  EXPECT_EQ(Compare({.text = "count_over_time(gauge{i='1'}[1h])", .start_ms = kStart + kHour, .end_ms = kStart + kWindow, .step_ms = kHour}),
            1);
}

TEST_F(RollupsTest, AResolutionThatIsGivenUpAndTakenUpAgainKnowsOfChanges) {
  Scrape(kStart + kWindow + kHour);
  Both([](tsdb::Tsdb& db) { ASSERT_TRUE(db.Compact().ok()); });
  const Query q{.text = "sum_over_time(gauge[1h])", .start_ms = kStart + kHour, .end_ms = kStart + kWindow, .step_ms = kHour};
  EXPECT_LT(Compare(q), 0.2);
  with_.rollups_ms = {};
  for (Side* side : {&with_, &without_}) side->Open(clock_);
  EXPECT_EQ(Compare(q), 1);
  const Sample late{kStart + 2 * kHour + 7, 1e6};
  Both([&](tsdb::Tsdb& db) {
    storage::SeriesBatch batch;
    batch.labels = Named(1);
    batch.samples = {&late, 1};
    ASSERT_TRUE(db.appender().Write({&batch, 1}).ok());
  });
  with_.rollups_ms = {kHour};
  for (Side* side : {&with_, &without_}) side->Open(clock_);
  EXPECT_EQ(Compare(q), 1);
  // In the background, one window a round.
  for (int i = 0; i < 4; ++i) Both([](tsdb::Tsdb& db) { ASSERT_TRUE(db.Maintain().ok()); });
  EXPECT_LT(Compare(q), 0.4) << "one series of four has a sample in memory still";
}

TEST_F(RollupsTest, WhateverHappens) {
  for (int round = 0; round < 12; ++round) {
    SCOPED_TRACE(round);
    Scrape(now_ + kHour + static_cast<int64_t>(random_() % (2 * kHour)));
    const uint64_t what = random_() % 6;
    if (what == 0) Both([](tsdb::Tsdb& db) { ASSERT_TRUE(db.Compact().ok()); });
    if (what == 1) {
      for (Side* side : {&with_, &without_}) side->Open(clock_);
    }
    if (what == 2) {
      const int64_t from = kStart + static_cast<int64_t>(random_() % (now_ - kStart));
      const std::vector<std::vector<Matcher>> selectors = {
          {Matcher::Equal("i", std::to_string(random_() % 8))}};
      Both([&](tsdb::Tsdb& db) { ASSERT_TRUE(db.Delete(selectors, from, from + kHour).ok()); });
    }
    if (what == 3) {
      std::vector<Sample> samples;
      int64_t t = kStart + static_cast<int64_t>(random_() % (now_ - kStart));
      for (int i = 0; i < 20; ++i, t += 61'007) samples.push_back({t, static_cast<double>(i)});
      storage::SeriesBatch batch;
      batch.labels = Named(random_() % 8);
      batch.samples = samples;
      Both([&](tsdb::Tsdb& db) { ASSERT_TRUE(db.appender().Write({&batch, 1}).ok()); });
    }
    for (int i = 0; i < 3; ++i) Both([](tsdb::Tsdb& db) { ASSERT_TRUE(db.Maintain().ok()); });
    const int64_t end = now_ / kHour * kHour;
    for (const std::string& f : kRolled) {
      Compare({.text = Call(f, "1h"), .start_ms = kStart, .end_ms = end, .step_ms = kHour});
      Compare({.text = Call(f, "35m"), .start_ms = kStart, .end_ms = end, .step_ms = 25 * kMinute});
      Compare({.text = Call(f, "8h"), .start_ms = now_, .end_ms = now_});
    }
  }
}

}  // namespace
}  // namespace vedette::promql
