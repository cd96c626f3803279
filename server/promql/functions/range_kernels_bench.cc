#include "server/promql/functions/range_kernels.h"

#include <benchmark/benchmark.h>

#include <cstdint>
#include <random>
#include <vector>

#include "common/model/labels.h"
#include "common/model/sample.h"
#include "server/promql/functions/annotations.h"
#include "server/promql/functions/selection.h"

namespace vedette::promql {
namespace {

constexpr int64_t kStart = 1'700'000'000'000;
constexpr int64_t kScrapeMs = 15'000;

// Six hours of a counter that rises by noise and was reset twice, scraped every 15 s, asked every
// minute over a window of range(1) minutes.
void BM_RangeKernel(benchmark::State& state) {
  const auto function = static_cast<FunctionId>(state.range(0));
  const int64_t range_ms = state.range(1) * 60'000;
  std::mt19937_64 random(1);
  std::vector<int64_t> t_ms;
  std::vector<double> values;
  double counter = 0;
  for (int64_t i = 0; i < 6 * 240; ++i) {
    counter = i % 700 == 699 ? 0 : counter + static_cast<double>(random() % 1000);
    t_ms.push_back(kStart + i * kScrapeMs);
    values.push_back(counter);
  }
  const Grid grid{.start_ms = kStart, .step_ms = 60'000, .steps = 360};
  const RefGrid refs(grid, TimeShift{});
  std::vector<Window> windows;
  WindowsOf(t_ms, refs, range_ms, windows);
  Annotations notes("");
  RangeKernel kernel;
  kernel.function = function;
  kernel.notes = &notes;
  kernel.grid = grid;
  kernel.refs = &refs;
  kernel.range_ms = range_ms;
  kernel.a.assign(360, function == FunctionId::kQuantileOverTime ? 0.95 : 3600);
  const Labels labels = Labels::Of({{"__name__", "requests_total"}, {"instance", "a:9100"}});
  const RangeSeries series{
      .labels = labels, .t_ms = t_ms, .values = values, .windows = windows};
  Column out;
  for (auto _ : state) {
    out.values.assign(360, kAbsent);
    kernel.Run(series, out);
    benchmark::DoNotOptimize(out.values.data());
  }
  state.SetItemsProcessed(state.iterations() * 360);  // Steps.
}
BENCHMARK(BM_RangeKernel)
    ->ArgNames({"function", "minutes"})
    ->ArgsProduct({{static_cast<int64_t>(FunctionId::kRate),
                    static_cast<int64_t>(FunctionId::kIrate),
                    static_cast<int64_t>(FunctionId::kAvgOverTime),
                    static_cast<int64_t>(FunctionId::kMaxOverTime),
                    static_cast<int64_t>(FunctionId::kQuantileOverTime),
                    static_cast<int64_t>(FunctionId::kPredictLinear)},
                   {5, 60}});

// What a timeline pays once for all of its series.
void BM_Windows(benchmark::State& state) {
  std::vector<int64_t> t_ms;
  for (int64_t i = 0; i < 6 * 240; ++i) t_ms.push_back(kStart + i * kScrapeMs);
  const Grid grid{.start_ms = kStart, .step_ms = 60'000, .steps = state.range(0)};
  const RefGrid refs(grid, TimeShift{});
  std::vector<Window> windows;
  for (auto _ : state) {
    WindowsOf(t_ms, refs, 300'000, windows);
    benchmark::DoNotOptimize(windows.data());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_Windows)->ArgName("steps")->Arg(1)->Arg(360);

}  // namespace
}  // namespace vedette::promql
