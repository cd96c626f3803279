#include <gtest/gtest.h>

#include <atomic>
#include <bit>
#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/model/histogram.h"
#include "common/model/labels.h"
#include "common/model/sample.h"
#include "server/promql/engine.h"
#include "server/promql/value.h"
#include "tests/support/memory_storage.h"

namespace vedette::promql {
namespace {

constexpr int64_t kStart = 1'700'000'000'000;
constexpr int64_t kStep = 15'000;
constexpr int kSamples = 60;
constexpr int kSeries = 2500;  // More than two parts of an instant query.

// Everything that an answer says, to the bit.
std::string Text(const Result<QueryAnswer>& answer) {
  if (!answer.ok()) return answer.status().ToString();
  std::string out;
  const auto point = [&](const Point& p) {
    out += " " + std::to_string(p.t_ms) + "=" + std::to_string(std::bit_cast<uint64_t>(p.value));
    if (p.histogram == nullptr) return;
    out += "h" + std::to_string(std::bit_cast<uint64_t>(p.histogram->sum)) + "/" +
           std::to_string(std::bit_cast<uint64_t>(p.histogram->count));
  };
  if (const auto* v = std::get_if<Vector>(&answer->value)) {
    for (const VectorSample& s : *v) {
      out += s.metric.ToString();
      point(s.point);
      out += "\n";
    }
  }
  if (const auto* m = std::get_if<Matrix>(&answer->value)) {
    for (const Series& s : *m) {
      out += s.metric.ToString();
      for (const Point& p : s.points) point(p);
      out += "\n";
    }
  }
  for (const std::string& w : answer->warnings) out += "warning " + w + "\n";
  for (const std::string& i : answer->infos) out += "info " + i + "\n";
  const QueryStats& s = answer->stats;
  return out + "series " + std::to_string(s.series) + ", read " + std::to_string(s.samples_read) +
         ", peak " + std::to_string(s.peak_samples) + "\n";
}

class DividedTest : public ::testing::Test {
 protected:
  DividedTest() {
    std::mt19937_64 random(7);
    for (int i = 0; i < kSeries; ++i) {
      const Labels labels = Labels::Of({{"__name__", i % 10 == 0 ? "gauge" : "c_total"},
                                        {"instance", "host" + std::to_string(i)},
                                        {"mode", "m" + std::to_string(i % 7)}});
      double value = 0;
      for (int k = 0; k < kSamples; ++k) {
        const int64_t t = kStart + k * kStep + (i % 3 == 0 ? i % 1000 : 0);
        value += static_cast<double>(random() % 1000) / 7;
        if (random() % 50 == 0) value = 0;
        if (random() % 40 == 0) continue;
        if (i % 97 == 0 && k % 2 == 0) {
          auto h = std::make_shared<Histogram>();
          h->count = h->zero_count = static_cast<double>(k);
          h->sum = value;
          storage_.Add(labels, t, std::move(h));
        } else {
          storage_.Add(labels, t, random() % 200 == 0 ? kStaleNan : value);
        }
      }
    }
  }

  static EngineOptions Options(int helpers) {
    EngineOptions o;
    o.experimental_functions = true;
    o.helpers = helpers;
    o.divide_from = 10'000;
    return o;
  }
  static Query RangeOf(const std::string& text) {
    return {.text = text, .start_ms = kStart, .end_ms = kStart + kSamples * kStep, .step_ms = 30'000};
  }
  static Query InstantOf(const std::string& text) {
    const int64_t t = kStart + kSamples * kStep / 2;
    return {.text = text, .start_ms = t, .end_ms = t};
  }
  std::unique_ptr<Engine> Make(const EngineOptions& options) const {
    return MakeEngine(options, storage_, SystemClock());
  }

  MemoryStorage storage_;
};

const std::vector<std::string> kQueries = {
    "c_total",
    "sum(c_total)",
    "sum by (mode) (rate(c_total[1m]))",
    "avg by (mode) (c_total)",
    "stddev(rate(c_total[2m]))",
    "rate(gauge[1m])",
    "topk(5, rate(c_total[1m]))",
    "quantile(0.9, increase(c_total[1m]))",
    "{__name__=~'gauge|c_total'} > 10",
    "rate({__name__=~'gauge|c_total'}[1m])",
    "histogram_quantile(0.5, c_total)",
    "count_values('v', round(c_total / 1000))",
    "rate(c_total[1m]) / on (instance) c_total",
    "max_over_time(rate(c_total[1m])[3m:30s])",
    "timestamp(c_total)",
    "quantile_over_time(1.5, c_total[1m])",
    "sort_desc(sum by (mode) (last_over_time(c_total[1m])))",
    "absent(nothing) or c_total offset 5m",
};

TEST_F(DividedTest, TwoThreadsAnswerAsOneDoes) {
  const auto alone = Make(Options(0));
  const auto helped = Make(Options(1));
  for (const std::string& text : kQueries) {
    SCOPED_TRACE(text);
    EXPECT_EQ(Text(helped->Run(RangeOf(text), nullptr)), Text(alone->Run(RangeOf(text), nullptr)));
    EXPECT_EQ(Text(helped->Run(InstantOf(text), nullptr)),
              Text(alone->Run(InstantOf(text), nullptr)));
  }
}

TEST_F(DividedTest, EveryOtherSeriesByAHelperToo) {
  EngineOptions all = Options(1);
  all.divide_from = 0;
  const auto alone = Make(Options(0));
  const auto helped = Make(all);
  for (const std::string& text : kQueries) {
    SCOPED_TRACE(text);
    EXPECT_EQ(Text(helped->Run(InstantOf(text), nullptr)),
              Text(alone->Run(InstantOf(text), nullptr)));
  }
}

TEST_F(DividedTest, LimitsEndBothThreads) {
  EngineOptions few = Options(1);
  few.max_samples = 1000;
  EngineOptions few_alone = Options(0);
  few_alone.max_samples = 1000;
  const std::string text = "sort(rate(c_total[1m]))";
  EXPECT_EQ(Text(Make(few)->Run(RangeOf(text), nullptr)),
            Text(Make(few_alone)->Run(RangeOf(text), nullptr)));
  EngineOptions small = Options(1);
  small.max_bytes = 200'000;
  EXPECT_EQ(Make(small)->Run(RangeOf(text), nullptr).status().code(),
            StatusCode::kResourceExhausted);
  EngineOptions short_of_memory = Options(1);
  std::atomic<int> asked{0};
  short_of_memory.memory_left = [&]() -> Status {
    return ++asked > 1 ? Unavailable("none is left") : Status();
  };
  EXPECT_EQ(Make(short_of_memory)->Run(RangeOf(text), nullptr).status().code(),
            StatusCode::kUnavailable);
}

TEST_F(DividedTest, AQueryThatIsCancelledEndsAndTheNextOneIsHelped) {
  const auto engine = Make(Options(1));
  CancelFlag cancel;
  cancel.Cancel();
  EXPECT_EQ(engine->Run(RangeOf("sum(rate(c_total[1m]))"), &cancel).status().code(),
            StatusCode::kCancelled);
  Query hurried = RangeOf("sum(rate(c_total[1m]))");
  hurried.timeout_ms = 0;
  EXPECT_EQ(engine->Run(hurried, nullptr).status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(engine->Run(RangeOf("sum(rate(c_total[1m]))"), nullptr).ok());
}

// What every operator did, but for how long it took.
std::string Work(const PlanNode& node, const std::string& indent = "") {
  std::string out = indent + node.op + ": series " + std::to_string(node.series) + ", points " +
                    std::to_string(node.points) + ", read " + std::to_string(node.samples_read) +
                    ", bytes " + std::to_string(node.bytes_decoded) + "\n";
  for (const PlanNode& child : node.children) out += Work(child, indent + "  ");
  return out;
}

TEST_F(DividedTest, AnalyzeTellsWhatBothThreadsDid) {
  EngineOptions all = Options(1);
  all.divide_from = 0;
  const auto alone = Make(Options(0));
  const auto helped = Make(all);
  for (const std::string& text : kQueries) {
    SCOPED_TRACE(text);
    const auto one = alone->Explain(InstantOf(text), /*analyze=*/true, nullptr);
    const auto two = helped->Explain(InstantOf(text), /*analyze=*/true, nullptr);
    ASSERT_TRUE(one.ok()) << one.status().ToString();
    ASSERT_TRUE(two.ok()) << two.status().ToString();
    EXPECT_EQ(Work(two->plan), Work(one->plan));
    EXPECT_GT(two->plan.total_seconds, 0);
  }
}

// What the metrics about queries are made of.
TEST_F(DividedTest, WhoAskedIsToldWhatAQueryTook) {
  EngineOptions options = Options(1);
  std::vector<QueryStats> told;
  options.ended = [&](const QueryStats& s) { told.push_back(s); };
  const auto engine = Make(options);
  ASSERT_TRUE(engine->Run(RangeOf("c_total"), nullptr).ok());
  EXPECT_FALSE(engine->Run(RangeOf("c_total +"), nullptr).ok());
  options.max_samples = 10;
  EXPECT_FALSE(Make(options)->Run(RangeOf("c_total"), nullptr).ok());
  ASSERT_EQ(told.size(), 3u);
  EXPECT_TRUE(told[0].evaluated);
  EXPECT_GT(told[0].eval_seconds, 0);
  EXPECT_FALSE(told[1].evaluated) << "it could not be read";
  EXPECT_TRUE(told[2].evaluated) << "it failed on the way";
}

}  // namespace
}  // namespace vedette::promql
