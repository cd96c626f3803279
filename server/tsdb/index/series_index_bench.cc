#include "server/tsdb/index/series_index.h"

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/model/labels.h"
#include "common/model/matcher.h"
#include "server/tsdb/index/postings.h"

namespace vedette::tsdb {
namespace {

constexpr size_t kHosts = 1000;
constexpr size_t kPerHost = 500;

Labels SeriesOf(size_t host, size_t i) {
  return Labels::Of({{"__name__", "node_metric_" + std::to_string(i % 100) + "_total"},
                     {"cpu", std::to_string(i / 100)},
                     {"instance", "host-" + std::to_string(host) + ":9100"},
                     {"job", host % 3 == 0 ? "db" : "app"}});
}

// Half a million series of a thousand hosts.
const SeriesIndex& Fleet() {
  static const std::unique_ptr<SeriesIndex> index = [] {
    auto made = std::make_unique<SeriesIndex>();
    bool added = false;
    for (size_t h = 0; h < kHosts; ++h) {
      for (size_t i = 0; i < kPerHost; ++i) (void)made->FindOrAdd(SeriesOf(h, i), &added);
    }
    return made;
  }();
  return *index;
}

Matcher Regex(const std::string& label, const std::string& expression) {
  Result<Matcher> made = Matcher::Make(Matcher::Op::kRegex, label, expression);
  return made.ok() ? *std::move(made) : Matcher::Equal(label, "");
}

void Select(benchmark::State& state, const std::vector<Matcher>& matchers) {
  const SeriesIndex& index = Fleet();
  uint64_t found = 0;
  for (auto _ : state) {
    found = index.Select(matchers).size();
    benchmark::DoNotOptimize(found);
  }
  state.counters["found"] = static_cast<double>(found);
}

void BM_IntersectThree(benchmark::State& state) {
  Select(state, {Matcher::Equal("__name__", "node_metric_7_total"), Matcher::Equal("cpu", "2"),
                 Matcher::Equal("job", "app")});
}
BENCHMARK(BM_IntersectThree);

void BM_OneSeriesOfAHost(benchmark::State& state) {
  Select(state, {Matcher::Equal("__name__", "node_metric_7_total"), Matcher::Equal("cpu", "2"),
                 Matcher::Equal("instance", "host-77:9100")});
}
BENCHMARK(BM_OneSeriesOfAHost);

void BM_Alternation(benchmark::State& state) {
  Select(state, {Matcher::Equal("__name__", "node_metric_7_total"),
                 Regex("instance", "host-1:9100|host-2:9100|host-30:9100")});
}
BENCHMARK(BM_Alternation);

void BM_ExpressionOverEveryValue(benchmark::State& state) {
  Select(state, {Matcher::Equal("__name__", "node_metric_7_total"), Regex("instance", ".*[05]:9100")});
}
BENCHMARK(BM_ExpressionOverEveryValue);

void BM_FindKnown(benchmark::State& state) {
  const SeriesIndex& index = Fleet();
  std::vector<Labels> labels;
  for (size_t i = 0; i < 2000; ++i) labels.push_back(SeriesOf(i * 7 % kHosts, i % kPerHost));
  std::vector<uint32_t> out;
  for (auto _ : state) {
    index.FindMany(labels.size(), [&](size_t i) -> const Labels& { return labels[i]; }, out);
    benchmark::DoNotOptimize(out.data());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(labels.size()));
}
BENCHMARK(BM_FindKnown);

// A fifth of a hundred thousand series goes.
void BM_Forget(benchmark::State& state) {
  for (auto _ : state) {
    state.PauseTiming();
    auto index = std::make_unique<SeriesIndex>();
    Postings gone;
    bool added = false;
    for (size_t n = 0; n < 100'000; ++n) {
      const uint32_t series = index->FindOrAdd(SeriesOf(n / kPerHost, n % kPerHost), &added);
      if (n / kPerHost % 5 == 0) gone.Add(series);
    }
    state.ResumeTiming();
    index->Forget(gone);
    state.PauseTiming();
    index = nullptr;
    state.ResumeTiming();
  }
}
BENCHMARK(BM_Forget)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace vedette::tsdb
