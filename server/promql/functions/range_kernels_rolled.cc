// Functions over stretches of samples: what a roll-up has in their place.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <string_view>

#include "server/promql/functions/extrapolation.h"
#include "server/promql/functions/numbers.h"
#include "server/promql/functions/range_kernels.h"
#include "server/storage/queryable.h"

namespace vedette::promql {
namespace {

using Stretches = std::span<const storage::RolledUp>;

uint64_t CountOf(Stretches w) {
  uint64_t n = 0;
  for (const storage::RolledUp& s : w) n += s.count;
  return n;
}

double SumOf(Stretches w) {
  double sum = 0;
  double c = 0;
  for (const storage::RolledUp& s : w) CompensatedAdd(s.sum, sum, c);
  return std::isinf(sum) ? sum : sum + c;
}

double MeanOf(Stretches w) {
  const auto count = static_cast<double>(CountOf(w));
  const double sum = SumOf(w);
  if (!std::isinf(sum)) return sum / count;
  double mean = 0;  // A sum of large values may be more than a double holds, and their mean is not.
  double c = 0;
  for (const storage::RolledUp& s : w) CompensatedAdd(s.sum / count, mean, c);
  return std::isinf(mean) ? mean : mean + c;
}

double ChangeOf(Stretches w, int64_t range_start_ms, int64_t range_end_ms, bool is_counter,
                bool is_rate) {
  const storage::RolledUp& first = w.front();
  const storage::RolledUp& last = w.back();
  double change = last.last - first.first;
  if (is_counter) {
    for (size_t i = 0; i < w.size(); ++i) {
      if (i > 0 && w[i].first < w[i - 1].last) change += w[i - 1].last;
      change += w[i].lost;
    }
  }
  Extrapolation e;
  e.sampled = Seconds(last.last_ms - first.first_ms);
  e.to_start = Seconds(first.first_ms - range_start_ms);
  e.to_end = Seconds(range_end_ms - last.last_ms);
  double factor = FactorOf(e, CountOf(w), is_counter, change, first.first);
  if (is_rate) factor /= Seconds(range_end_ms - range_start_ms);
  return change * factor;
}

}  // namespace

bool RangeKernel::TakesRolled(std::string_view function) {
  static constexpr std::array<std::string_view, 11> kFunctions = {
      "avg_over_time", "count_over_time", "delta",         "first_over_time",
      "increase",      "last_over_time",  "max_over_time", "min_over_time",
      "present_over_time", "rate",        "sum_over_time"};
  return std::ranges::find(kFunctions, function) != kFunctions.end();
}

void RangeKernel::RunRolled(const RangeSeries& r, Column& out) {
  const auto each = [&](auto f) {
    for (size_t i = 0; i < r.windows.size(); ++i) {
      const Window w = r.windows[i];
      const size_t n = w.hi - w.lo;
      if (n == 0) continue;
      if (!GoOn(n)) return;
      out.values[i] = f(i, r.rolled.subspan(w.lo, n));
    }
  };
  switch (function) {
    case FunctionId::kRate:
    case FunctionId::kIncrease:
    case FunctionId::kDelta:
      each([&](size_t i, Stretches w) {
        if (CountOf(w) < 2) return kAbsent;
        const int64_t end = refs->At(static_cast<int64_t>(i));
        return ChangeOf(w, end - range_ms, end, function != FunctionId::kDelta,
                        function == FunctionId::kRate);
      });
      return;
    case FunctionId::kCountOverTime:
      each([](size_t, Stretches w) { return static_cast<double>(CountOf(w)); });
      return;
    case FunctionId::kSumOverTime:
      each([](size_t, Stretches w) { return SumOf(w); });
      return;
    case FunctionId::kAvgOverTime:
      each([](size_t, Stretches w) { return MeanOf(w); });
      return;
    case FunctionId::kMinOverTime:
      each([](size_t, Stretches w) {
        double m = w[0].min;
        for (const storage::RolledUp& s : w) {
          if (s.min < m || std::isnan(m)) m = s.min;
        }
        return m;
      });
      return;
    case FunctionId::kMaxOverTime:
      each([](size_t, Stretches w) {
        double m = w[0].max;
        for (const storage::RolledUp& s : w) {
          if (s.max > m || std::isnan(m)) m = s.max;
        }
        return m;
      });
      return;
    case FunctionId::kPresentOverTime:
      each([](size_t, Stretches) { return 1.0; });
      return;
    case FunctionId::kFirstOverTime:
      each([](size_t, Stretches w) { return w.front().first; });
      return;
    case FunctionId::kLastOverTime:
      each([](size_t, Stretches w) { return w.back().last; });
      return;
    default:
      return;  // Never: the storage gives stretches to those of TakesRolled() alone.
  }
}

}  // namespace vedette::promql
