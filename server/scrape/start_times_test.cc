// Start timestamps on their way from a body to the storage.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/exposition/negotiate.h"
#include "common/model/histogram.h"
#include "common/model/labels.h"
#include "common/model/metric_family.h"
#include "server/scrape/job.h"
#include "server/scrape/layout_cache.h"
#include "server/scrape/timeline.h"
#include "server/storage/appender.h"
#include "tests/support/memory_appender.h"

namespace vedette::scrape {
namespace {

constexpr char kBody[] =
    "# TYPE c counter\n"
    "c_total{x=\"1\"} 5\n"
    "c_created{x=\"1\"} 1700000000.25\n"
    "c_created{x=\"2\"} 1700000001\n"
    "c_total{x=\"2\"} 7\n"
    "c_total{x=\"3\"} 9\n"
    "# TYPE h histogram\n"
    "h_bucket{le=\"1.0\"} 1\n"
    "h_bucket{le=\"+Inf\"} 2\n"
    "h_count 2\n"
    "h_sum 3\n"
    "h_created 1700000002\n"
    "# TYPE g gauge\n"
    "g_created 1\n"
    "# EOF\n";

// One target as a loop has it, without the loop.
class Target {
 public:
  Target(storage::Appender& appender, bool keep, bool zeros)
      : timeline_(appender, "node"), cache_([](const std::string&, const Metadata&) {}) {
    job_.name = "node";
    job_.start_timestamps = keep;
    job_.start_zero_samples = zeros;
    timeline_.PutZerosAtStarts(zeros);
  }
  void Scrape(int64_t t_ms, const std::string& body) {
    timeline_.Begin();
    const Status status = cache_.Ingest(body, exposition::Protocol::kOpenMetrics1_0_0, {}, job_,
                                        timeline_);
    ASSERT_TRUE(status.ok()) << status.ToString();
    const auto outcome = timeline_.Commit(t_ms);
    ASSERT_TRUE(outcome.ok()) << outcome.status().ToString();
  }
  uint64_t scraped() const { return cache_.counts().scraped; }
  Timeline& timeline() { return timeline_; }

 private:
  Job job_;
  Timeline timeline_;
  LayoutCache cache_;
};

constexpr int64_t kT = 1'700'000'010'000;

std::string Of(const std::string& name, const std::string& rest) {
  return "{__name__=\"" + name + "\"" + rest + "}";
}

TEST(StartTimes, WithoutTheFlagsACreatedLineIsASeries) {
  testing::MemoryAppender storage;
  Target target(storage, false, false);
  target.Scrape(kT, kBody);
  EXPECT_EQ(storage.ToString(Of("c_created", ", x=\"2\"")), "1700000001@1700000010000");
  EXPECT_EQ(target.scraped(), 11u);
}

using Starts = std::vector<std::pair<int64_t, int64_t>>;

TEST(StartTimes, GoWithTheSamplesWhereverTheirLinesStand) {
  testing::MemoryAppender storage;
  Target target(storage, true, false);
  target.Scrape(kT, kBody);
  target.Scrape(kT + 1000, kBody);  // Known by their places.
  const auto series = storage.series();
  const auto starts = [&](const std::string& name, const std::string& rest) {
    return series.at(Of(name, rest)).starts;
  };
  EXPECT_EQ(starts("c_total", ", x=\"1\""),
            (Starts{{kT, 1'700'000'000'250}, {kT + 1000, 1'700'000'000'250}}));
  EXPECT_EQ(starts("c_total", ", x=\"2\""),
            (Starts{{kT, 1'700'000'001'000}, {kT + 1000, 1'700'000'001'000}}));
  EXPECT_EQ(starts("c_total", ", x=\"3\""), Starts());
  const Starts histogram = {{kT, 1'700'000'002'000}, {kT + 1000, 1'700'000'002'000}};
  EXPECT_EQ(starts("h_bucket", ", le=\"1.0\""), histogram);
  EXPECT_EQ(starts("h_sum", ""), histogram);
  EXPECT_EQ(starts("h_count", ""), histogram);
  EXPECT_FALSE(series.contains(Of("c_created", ", x=\"1\""))) << "it is no series";
  EXPECT_EQ(storage.ToString(Of("g_created", "")), "1@1700000010000 1@1700000011000")
      << "a gauge has no start: its name says nothing";
  EXPECT_EQ(target.scraped(), 8u) << "created lines are no samples";
}

TEST(StartTimes, AStartThatIsNoLongerToldIsForgotten) {
  testing::MemoryAppender storage;
  Target target(storage, true, false);
  target.Scrape(kT, "# TYPE c counter\nc_total 5\nc_created 1700000000\n# EOF\n");
  target.Scrape(kT + 1000, "# TYPE c counter\nc_total 6\n# EOF\n");
  EXPECT_EQ(storage.series().begin()->second.starts, (Starts{{kT, 1'700'000'000'000}}));
}

TEST(StartTimes, AZeroStandsWhereACounterBegan) {
  testing::MemoryAppender storage;
  Target target(storage, false, true);
  const auto body = [](int v, const char* created) {
    return "# TYPE c counter\nc_total " + std::to_string(v) + "\nc_created " + created +
           "\n# EOF\n";
  };
  target.Scrape(kT, body(5, "1700000000"));
  target.Scrape(kT + 1000, body(6, "1700000000"));
  EXPECT_EQ(storage.ToString("c_total"), "0@1700000000000 5@1700000010000 6@1700000011000");
  // It began again between two scrapes.
  target.Scrape(kT + 2000, body(1, "1700000011.5"));
  // A start that is older than what is there, of the future, or of a day ago says nothing.
  target.Scrape(kT + 3000, body(2, "1700000005"));
  target.Scrape(kT + 4000, body(3, "1700000999"));
  EXPECT_EQ(storage.ToString("c_total"),
            "0@1700000000000 5@1700000010000 6@1700000011000 0@1700000011500 1@1700000012000 "
            "2@1700000013000 3@1700000014000");
  testing::MemoryAppender other;
  Target late(other, false, true);
  late.Scrape(kT, body(5, "1699913600"));
  EXPECT_EQ(other.ToString("c_total"), "5@1700000010000");
}

TEST(StartTimes, ANativeHistogramBeginsEmpty) {
  testing::MemoryAppender storage;
  Timeline timeline(storage, "node");
  timeline.PutZerosAtStarts(true);
  timeline.Begin();
  auto h = std::make_shared<Histogram>();
  h->schema = 3;
  h->count = 7;
  h->zero_count = 7;
  const uint32_t number = timeline.Number(Labels::Of({{"__name__", "h"}}));
  timeline.SetHistogram(number, h);
  timeline.SetStart(number, kT - 5000);
  ASSERT_TRUE(timeline.Commit(kT).ok());
  const auto series = storage.series();
  ASSERT_EQ(series.size(), 1u);
  const auto& got = series.begin()->second.histograms;
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[0].first, kT - 5000);
  EXPECT_EQ(got[0].second->count, 0);
  EXPECT_EQ(got[0].second->schema, 3);
  EXPECT_EQ(got[0].second->reset_hint, Histogram::ResetHint::kReset);
  EXPECT_EQ(got[1].second->count, 7);
}

}  // namespace
}  // namespace vedette::scrape
