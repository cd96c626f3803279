#include "server/promql/functions/range_kernels.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "server/promql/functions/extrapolation.h"
#include "server/promql/functions/numbers.h"
#include "server/promql/functions/start_turn.h"

namespace vedette::promql {
namespace {

using Times = std::span<const int64_t>;
using Values = std::span<const double>;

double SumOf(Values v) {
  double sum = 0;
  double c = 0;
  for (double x : v) CompensatedAdd(x, sum, c);
  return std::isinf(sum) ? sum : sum + c;
}

double MeanOf(Values v) {
  Mean mean;
  for (double x : v) mean.Add(x);
  return mean.Value();
}

double VarianceOf(Values v) {
  double count = 0, mean = 0, mean_c = 0, aux = 0, aux_c = 0;
  for (double x : v) {
    count += 1;
    const double delta = x - (mean + mean_c);
    CompensatedAdd(delta / count, mean, mean_c);
    CompensatedAdd(delta * (x - (mean + mean_c)), aux, aux_c);
  }
  return (aux + aux_c) / count;
}

double MaxOf(Values v) {
  double m = v[0];
  for (double x : v) {
    if (x > m || std::isnan(m)) m = x;
  }
  return m;
}

double MinOf(Values v) {
  double m = v[0];
  for (double x : v) {
    if (x < m || std::isnan(m)) m = x;
  }
  return m;
}

double ChangesOf(Values v) {
  double n = 0;
  for (size_t i = 1; i < v.size(); ++i) {
    if (v[i] != v[i - 1] && !(std::isnan(v[i]) && std::isnan(v[i - 1]))) n += 1;
  }
  return n;
}

double ResetsOf(Values v) {
  double n = 0;
  for (size_t i = 1; i < v.size(); ++i) n += v[i] < v[i - 1] ? 1 : 0;
  return n;
}

double SmoothedOf(Values v, double sf, double tf) {
  double before = 0;
  double level = v[0];
  double trend = v[1] - v[0];
  for (size_t i = 1; i < v.size(); ++i) {
    const double x = sf * v[i];
    if (i > 1) trend = tf * (level - before) + (1 - tf) * trend;
    const double y = (1 - sf) * (level + trend);
    before = level;
    level = x + y;
  }
  return level;
}

// What the samples of a window have changed by, to the ends of the range.
double Extrapolated(double change, Times t, Values v, int64_t range_start_ms, int64_t range_end_ms,
                    bool is_counter, bool is_rate) {
  Extrapolation e;
  e.sampled = Seconds(t.back() - t.front());
  e.to_start = Seconds(t.front() - range_start_ms);
  e.to_end = Seconds(range_end_ms - t.back());
  double factor = FactorOf(e, v.size(), is_counter, change, v[0]);
  if (is_rate) factor /= Seconds(range_end_ms - range_start_ms);
  return change * factor;
}

}  // namespace

double ExtrapolatedChange(Times t, Values v, int64_t range_start_ms, int64_t range_end_ms,
                          bool is_counter, bool is_rate) {
  double change = v.back() - v.front();
  if (is_counter) {
    double previous = v[0];
    for (double x : v.subspan(1)) {
      if (x < previous) change += previous;
      previous = x;
    }
  }
  return Extrapolated(change, t, v, range_start_ms, range_end_ms, is_counter, is_rate);
}

void RangeKernel::RunFloatsFromStarts(const RangeSeries& r, Column& out) {
  bool overlap = false;
  for (size_t i = 0; i < r.windows.size(); ++i) {
    const Window w = r.windows[i];
    const size_t n = w.hi - w.lo;
    if (n == 0) continue;
    const Times t = r.t_ms.subspan(w.lo, n);
    const Values v = r.values.subspan(w.lo, n);
    const Times starts = r.start_ms.subspan(w.lo, n);
    double resets = 0;
    double lost = 0;  // What resets took away.
    bool last_reset = false;
    for (size_t k = 1; k < n; ++k) {
      const StartTurn turn = TurnBetween(t[k - 1], starts[k - 1], t[k], starts[k]);
      overlap = overlap || turn == StartTurn::kOverlap;
      last_reset = turn == StartTurn::kReset || v[k] < v[k - 1];
      if (!last_reset) continue;
      resets += 1;
      lost += v[k - 1];
    }
    if (function == FunctionId::kResets) {
      out.values[i] = resets;
      continue;
    }
    if (function == FunctionId::kIrate) {
      if (n < 2) continue;
      const double change = last_reset ? v[n - 1] : v[n - 1] - v[n - 2];
      out.values[i] = change / Seconds(t[n - 1] - t[n - 2]);
      continue;
    }
    const int64_t end = refs->At(static_cast<int64_t>(i));
    const int64_t start = end - range_ms;
    const bool inside = StartsInside(t[0], starts[0], start);
    if (n < 2 && !inside) continue;
    const double change = v[n - 1] - v[0] + lost + (inside ? v[0] : 0);
    Extrapolation e;
    e.from_start = inside;
    e.between = Seconds(t[n - 1] - t[0]);
    e.sampled = Seconds(t[n - 1] - (inside ? starts[0] : t[0]));
    e.to_start = Seconds(t[0] - start);
    e.to_end = Seconds(end - t[n - 1]);
    double factor = FactorOf(e, n, true, change, v[0]);
    if (function == FunctionId::kRate) factor /= Seconds(range_ms);
    out.values[i] = change * factor;
  }
  if (overlap && SaysOverlaps(function)) notes->OverlappingStarts(r.labels.metric_name(), pos);
}

void RangeKernel::Run(const RangeSeries& r, Column& out) {
  saw_floats = false;
  if (anchored || smoothed) {
    RunExtended(r, out);
    return;
  }
  if (!r.rolled.empty()) {
    RunRolled(r, out);
    saw_floats = true;
    return;
  }
  bool histograms = false;
  for (const HistogramPtr& h : r.histograms) {
    if (h != nullptr) {
      histograms = true;
      break;
    }
  }
  if (histograms) {
    RunMixed(r, out);
  } else if (!r.start_ms.empty()) {
    RunFloatsFromStarts(r, out);
    saw_floats = true;
  } else {
    RunFloats(r, out);
    saw_floats = true;
  }
}

void RangeKernel::RunFloats(const RangeSeries& r, Column& out) {
  const size_t steps = r.windows.size();
  // Calls `f` with the samples of every window that has at least `least`.
  auto each = [&](size_t least, auto f) {
    for (size_t i = 0; i < steps; ++i) {
      const Window w = r.windows[i];
      const size_t n = w.hi - w.lo;
      if (n < least) continue;
      if (!GoOn(n)) return;
      out.values[i] = f(i, r.t_ms.subspan(w.lo, n), r.values.subspan(w.lo, n));
    }
  };
  switch (function) {
    case FunctionId::kRate:
    case FunctionId::kIncrease:
    case FunctionId::kDelta: {
      const bool counter = function != FunctionId::kDelta;
      const bool rate = function == FunctionId::kRate;
      // Windows overlap, and resets are rare: they are looked for once, not in every window.
      std::vector<uint32_t> resets;
      for (size_t k = 1; counter && k < r.values.size(); ++k) {
        if (r.values[k] < r.values[k - 1]) resets.push_back(static_cast<uint32_t>(k));
      }
      size_t passed = 0;
      each(2, [&](size_t i, Times t, Values v) {
        const int64_t end = refs->At(static_cast<int64_t>(i));
        const Window w = r.windows[i];
        double change = v.back() - v.front();
        // Under @ windows do not move; they never go back.
        while (passed < resets.size() && resets[passed] <= w.lo) ++passed;
        for (size_t k = passed; k < resets.size() && resets[k] < w.hi; ++k) {
          change += r.values[resets[k] - 1];
        }
        return Extrapolated(change, t, v, end - range_ms, end, counter, rate);
      });
      return;
    }
    case FunctionId::kIrate:
    case FunctionId::kIdelta: {
      const bool rate = function == FunctionId::kIrate;
      each(2, [&](size_t, Times t, Values v) {
        const size_t n = v.size();
        const int64_t apart = t[n - 1] - t[n - 2];
        if (apart == 0) return kAbsent;
        double change = v[n - 1] - v[n - 2];
        if (!rate) return change;
        if (v[n - 1] < v[n - 2]) change = v[n - 1];
        return change / Seconds(apart);
      });
      return;
    }
    case FunctionId::kSumOverTime:
      each(1, [](size_t, Times, Values v) { return SumOf(v); });
      return;
    case FunctionId::kAvgOverTime:
      each(1, [](size_t, Times, Values v) { return MeanOf(v); });
      return;
    case FunctionId::kCountOverTime:
      each(1, [](size_t, Times, Values v) { return static_cast<double>(v.size()); });
      return;
    case FunctionId::kPresentOverTime:
      each(1, [](size_t, Times, Values) { return 1.0; });
      return;
    case FunctionId::kMaxOverTime:
      each(1, [](size_t, Times, Values v) { return MaxOf(v); });
      return;
    case FunctionId::kMinOverTime:
      each(1, [](size_t, Times, Values v) { return MinOf(v); });
      return;
    case FunctionId::kLastOverTime:
      each(1, [](size_t, Times, Values v) { return v.back(); });
      return;
    case FunctionId::kFirstOverTime:
      each(1, [](size_t, Times, Values v) { return v.front(); });
      return;
    case FunctionId::kTsOfLastOverTime:
      each(1, [](size_t, Times t, Values) { return Seconds(t.back()); });
      return;
    case FunctionId::kTsOfFirstOverTime:
      each(1, [](size_t, Times t, Values) { return Seconds(t.front()); });
      return;
    case FunctionId::kTsOfMaxOverTime:
    case FunctionId::kTsOfMinOverTime: {
      const bool max = function == FunctionId::kTsOfMaxOverTime;
      each(1, [&](size_t, Times t, Values v) {
        size_t best = 0;
        for (size_t k = 1; k < v.size(); ++k) {
          if (std::isnan(v[best]) || (max ? v[k] >= v[best] : v[k] <= v[best])) best = k;
        }
        return Seconds(t[best]);
      });
      return;
    }
    case FunctionId::kStddevOverTime:
      each(1, [](size_t, Times, Values v) { return std::sqrt(VarianceOf(v)); });
      return;
    case FunctionId::kStdvarOverTime:
      each(1, [](size_t, Times, Values v) { return VarianceOf(v); });
      return;
    case FunctionId::kQuantileOverTime:
      each(1, [&](size_t i, Times, Values v) {
        if (std::isnan(a[i]) || a[i] < 0 || a[i] > 1) notes->BadQuantile(a[i], parameter_pos);
        scratch_.assign(v.begin(), v.end());
        return QuantileOf(a[i], scratch_);
      });
      return;
    case FunctionId::kMadOverTime:
      each(1, [&](size_t, Times, Values v) {
        if (std::ranges::any_of(v, [](double x) { return std::isnan(x); })) return kNormalNan;
        scratch_.assign(v.begin(), v.end());
        const double median = QuantileOf(0.5, scratch_);
        for (size_t k = 0; k < v.size(); ++k) scratch_[k] = std::fabs(v[k] - median);
        return QuantileOf(0.5, scratch_);
      });
      return;
    case FunctionId::kChanges:
      each(1, [](size_t, Times, Values v) { return ChangesOf(v); });
      return;
    case FunctionId::kResets:
      each(1, [](size_t, Times, Values v) { return ResetsOf(v); });
      return;
    case FunctionId::kDeriv:
      each(2, [](size_t, Times t, Values v) { return LeastSquares(t, v, t[0]).slope; });
      return;
    case FunctionId::kPredictLinear:
      each(2, [&](size_t i, Times t, Values v) {
        const Line line = LeastSquares(t, v, grid.At(static_cast<int64_t>(i)));
        return line.slope * a[i] + line.intercept;
      });
      return;
    case FunctionId::kDoubleExponentialSmoothing:
      each(2, [&](size_t i, Times, Values v) { return SmoothedOf(v, a[i], b[i]); });
      return;
    default:
      return;
  }
}

}  // namespace vedette::promql
