#include "server/promql/functions/range_kernels.h"

#include <algorithm>
#include <cmath>

#include "server/promql/functions/histogram_math.h"
#include "server/promql/functions/numbers.h"
#include "server/promql/functions/start_turn.h"

namespace vedette::promql {
namespace {

using Times = std::span<const int64_t>;
using Values = std::span<const double>;

double Seconds(int64_t ms) { return static_cast<double>(ms) / 1000.0; }

// How far a change over [first, last] reaches to the edges of the range, as a factor.
struct Extrapolation {
  bool from_start = false;  // A start timestamp says where it all began: nothing to add on the left.
  double between = 0;       // First to last sample; `sampled` may begin before, at the start.
  double sampled = 0;
  double to_start = 0;
  double to_end = 0;
};

double FactorOf(const Extrapolation& e, size_t samples, bool is_counter, double change,
                double first) {
  double to_start = e.to_start;
  double to_end = e.to_end;
  if (e.from_start) {
    if (samples == 1) return 1;  // How far samples are apart is not known.
    const double apart = e.between / static_cast<double>(samples - 1);
    if (to_end >= apart * 1.1) to_end = apart / 2;
    return (e.sampled + to_end) / e.sampled;
  }
  const double average = e.sampled / static_cast<double>(samples - 1);
  const double threshold = average * 1.1;
  if (to_start >= threshold) to_start = average / 2;
  if (is_counter && change > 0 && first >= 0) {
    // A counter cannot have been below zero: extrapolation ends where it would be.
    to_start = std::min(to_start, e.sampled * (first / change));
  }
  if (to_end >= threshold) to_end = average / 2;
  return (e.sampled + to_start + to_end) / e.sampled;
}

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

bool FloatsOnly(FunctionId id) {
  switch (id) {
    case FunctionId::kMaxOverTime:
    case FunctionId::kMinOverTime:
    case FunctionId::kStddevOverTime:
    case FunctionId::kStdvarOverTime:
    case FunctionId::kQuantileOverTime:
    case FunctionId::kMadOverTime:
    case FunctionId::kDeriv:
    case FunctionId::kPredictLinear:
    case FunctionId::kDoubleExponentialSmoothing:
    case FunctionId::kTsOfMaxOverTime:
    case FunctionId::kTsOfMinOverTime:
      return true;
    default:
      return false;
  }
}

// A sample of a window that may hold either kind.
struct MixedSample {
  int64_t t_ms = 0;
  double value = 0;
  HistogramPtr histogram;
  int64_t start_ms = 0;  // 0: not known.
  bool fresh = false;    // Its start timestamp lies after the sample before: a reset.
};

// What of a window's samples the start timestamps tell; true where some of them overlap.
bool MarkFresh(std::vector<MixedSample>& all) {
  bool overlap = false;
  for (size_t k = 1; k < all.size(); ++k) {
    const StartTurn turn =
        TurnBetween(all[k - 1].t_ms, all[k - 1].start_ms, all[k].t_ms, all[k].start_ms);
    all[k].fresh = turn == StartTurn::kReset;
    overlap = overlap || turn == StartTurn::kOverlap;
  }
  return overlap;
}

bool ResetBetween(const MixedSample& before, const MixedSample& after) {
  return after.fresh || DetectReset(*after.histogram, *before.histogram);
}

using Notes = Annotations;
enum class Edge : uint8_t { kSample, kInterpolated };

// last - first plus what resets took away; null (and a warning) where that makes no sense.
std::shared_ptr<Histogram> HistogramChange(std::span<const MixedSample> points, bool is_counter,
                                           std::string_view metric, PosRange pos, Notes& notes,
                                           Edge left = Edge::kSample, Edge right = Edge::kSample) {
  const Histogram* first = points.front().histogram.get();
  const Histogram* last = points.back().histogram.get();
  if (first == nullptr || last == nullptr) {
    notes.MixedFloatsHistograms(metric, pos);
    return nullptr;
  }
  bool custom = UsesCustomBuckets(*first);
  if (is_counter && (first->reset_hint == Histogram::ResetHint::kGauge ||
                     last->reset_hint == Histogram::ResetHint::kGauge)) {
    notes.NotCounterHistogram(metric, pos);
  }
  Histogram empty;
  const Histogram* previous = first;
  if (is_counter && points.size() > 1 && left == Edge::kSample) {
    const Histogram* second = points[1].histogram.get();
    if (second != nullptr && (points[1].fresh || DetectReset(*second, *first))) {
      // What was before the reset does not matter, nor does its layout.
      empty.schema = second->schema;
      empty.custom_values = second->custom_values;
      custom = UsesCustomBuckets(*second);
      previous = &empty;
    }
  }
  if (UsesCustomBuckets(*last) != custom) {
    notes.MixedSchemas(metric, pos);
    return nullptr;
  }
  int32_t schema = std::min(previous->schema, last->schema);
  for (size_t i = 1; i + 1 < points.size(); ++i) {
    const Histogram* h = points[i].histogram.get();
    if (h == nullptr) {
      notes.MixedFloatsHistograms(metric, pos);
      return nullptr;
    }
    if (!is_counter) continue;
    if (h->reset_hint == Histogram::ResetHint::kGauge) notes.NotCounterHistogram(metric, pos);
    if (UsesCustomBuckets(*h) != custom) {
      notes.MixedSchemas(metric, pos);
      return nullptr;
    }
    schema = std::min(schema, h->schema);
  }
  auto out = std::make_shared<Histogram>(*last);
  if (!custom) ReduceSchema(*out, schema);
  CombineNotes combined;
  if (!SubtractFrom(*out, *previous, &combined)) {
    notes.MixedSchemas(metric, pos);
    return nullptr;
  }
  if (combined.bounds_reconciled) notes.BoundsReconciled("subtraction", pos);
  if (is_counter) {
    const Histogram* before = previous;
    for (size_t i = 1; i < points.size(); ++i) {
      const Histogram* h = points[i].histogram.get();
      const bool edge = (i == 1 && left == Edge::kInterpolated) ||
                        (i + 1 == points.size() && right == Edge::kInterpolated);
      if (!edge && (points[i].fresh || DetectReset(*h, *before))) {
        CombineNotes added;
        AddTo(*out, *before, &added);
        if (added.bounds_reconciled) notes.BoundsReconciled("addition", pos);
      }
      before = h;
    }
  } else if (first->reset_hint != Histogram::ResetHint::kGauge ||
             last->reset_hint != Histogram::ResetHint::kGauge) {
    notes.NotGaugeHistogram(metric, pos);
  }
  out->reset_hint = Histogram::ResetHint::kGauge;
  Compact(*out);
  return out;
}

// Changes or resets from sample to sample; a change of kind counts as both.
double CountTurns(std::span<const MixedSample> all, bool resets) {
  double n = 0;
  for (size_t k = 1; k < all.size(); ++k) {
    const MixedSample& x = all[k - 1];
    const MixedSample& y = all[k];
    bool turn;
    if ((x.histogram == nullptr) != (y.histogram == nullptr)) {
      turn = true;
    } else if (x.histogram == nullptr) {
      turn = resets ? y.fresh || y.value < x.value
                    : y.value != x.value && !(std::isnan(x.value) && std::isnan(y.value));
    } else {
      turn = resets ? ResetBetween(x, y)
                    : !SameContent(*x.histogram, *y.histogram);
    }
    n += turn ? 1 : 0;
  }
  return n;
}

// A float between two samples; a counter that was reset between them starts at 0 on the left edge
// of a range, and goes on rising on the right one.
double Between(const MixedSample& a, const MixedSample& b, int64_t t, bool counter, bool left) {
  double y1 = a.value;
  double y2 = b.value;
  if (counter && y2 < y1) {
    if (left) {
      y1 = 0;
    } else {
      y2 += y1;
    }
  }
  return y1 + (y2 - y1) * static_cast<double>(t - a.t_ms) / static_cast<double>(b.t_ms - a.t_ms);
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
  Extrapolation e;
  e.sampled = Seconds(t.back() - t.front());
  e.to_start = Seconds(t.front() - range_start_ms);
  e.to_end = Seconds(range_end_ms - t.back());
  double factor = FactorOf(e, v.size(), is_counter, change, v[0]);
  if (is_rate) factor /= Seconds(range_end_ms - range_start_ms);
  return change * factor;
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
  if (overlap) notes->OverlappingStarts(r.labels.metric_name(), pos);
}

void RangeKernel::Run(const RangeSeries& r, Column& out) {
  saw_floats = false;
  if (anchored || smoothed) {
    RunExtended(r, out);
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
      each(2, [&](size_t i, Times t, Values v) {
        const int64_t end = refs->At(static_cast<int64_t>(i));
        return ExtrapolatedChange(t, v, end - range_ms, end, counter, rate);
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

void RangeKernel::RunMixed(const RangeSeries& r, Column& out) {
  const std::string_view metric = r.labels.metric_name();
  std::vector<int64_t> float_t;
  std::vector<double> float_v;
  std::vector<int64_t> float_starts;
  std::vector<MixedSample> all;
  bool overlap = false;
  for (size_t i = 0; i < r.windows.size(); ++i) {
    const Window w = r.windows[i];
    if (w.lo == w.hi) continue;
    // A histogram is worth a few dozen floats.
    if (!GoOn(uint64_t{32} * (w.hi - w.lo))) return;
    float_t.clear();
    float_v.clear();
    float_starts.clear();
    all.clear();
    size_t histograms = 0;
    for (uint32_t k = w.lo; k < w.hi; ++k) {
      all.push_back({r.t_ms[k], r.values[k], r.histograms[k]});
      if (!r.start_ms.empty()) all.back().start_ms = r.start_ms[k];
      if (r.histograms[k] != nullptr) {
        ++histograms;
      } else {
        float_t.push_back(r.t_ms[k]);
        float_v.push_back(r.values[k]);
        float_starts.push_back(all.back().start_ms);
      }
    }
    if (!r.start_ms.empty() && histograms > 0) overlap |= MarkFresh(all);
    if (histograms == 0 || FloatsOnly(function)) {
      if (float_v.empty()) continue;
      if (histograms > 0) notes->IgnoredInMixedRange(metric, pos);
      // The window's floats alone, as a series of one step.
      const Window whole{0, static_cast<uint32_t>(float_v.size())};
      RangeKernel one = *this;
      const RefGrid ref_here = [&] {
        RefGrid g = *refs;
        g.first_ms = refs->At(static_cast<int64_t>(i));
        g.step_ms = 0;
        g.steps = 1;
        return g;
      }();
      one.refs = &ref_here;
      one.grid.start_ms = grid.At(static_cast<int64_t>(i));
      one.grid.steps = 1;
      if (!a.empty()) one.a = {a[i]};
      if (!b.empty()) one.b = {b[i]};
      RangeSeries s{.labels = r.labels};
      s.t_ms = float_t;
      s.values = float_v;
      s.windows = {&whole, 1};
      Column single;
      single.values.assign(1, kAbsent);
      if (r.start_ms.empty()) {
        one.RunFloats(s, single);
      } else {
        s.start_ms = float_starts;
        one.RunFloatsFromStarts(s, single);
      }
      out.values[i] = single.values[0];
      saw_floats = saw_floats || single.present(0);
      continue;
    }
    const bool mixed = !float_v.empty();
    const MixedSample& last = all.back();
    switch (function) {
      case FunctionId::kRate:
      case FunctionId::kIncrease:
      case FunctionId::kDelta: {
        const int64_t end = refs->At(static_cast<int64_t>(i));
        const MixedSample& first = all.front();
        const bool counter = function != FunctionId::kDelta;
        const bool inside = counter && StartsInside(first.t_ms, first.start_ms, end - range_ms);
        if (all.size() < 2 && !inside) break;
        if (mixed) {
          notes->MixedFloatsHistograms(metric, pos);
          break;
        }
        std::shared_ptr<Histogram> h = HistogramChange(all, counter, metric, pos, *notes);
        if (h == nullptr) break;
        // Where counting began inside the range, all of the first histogram happened there too.
        if (inside) {
          CombineNotes combined;
          if (!AddTo(*h, *first.histogram, &combined)) {
            notes->MixedSchemas(metric, pos);
            break;
          }
          if (combined.bounds_reconciled) notes->BoundsReconciled("addition", pos);
          h->reset_hint = Histogram::ResetHint::kGauge;
        }
        Extrapolation e;
        e.from_start = inside;
        e.between = Seconds(last.t_ms - first.t_ms);
        e.sampled = Seconds(last.t_ms - (inside ? first.start_ms : first.t_ms));
        e.to_start = Seconds(all.front().t_ms - (end - range_ms));
        e.to_end = Seconds(end - last.t_ms);
        double factor = FactorOf(e, all.size(), counter, h->count, all.front().histogram->count);
        if (function == FunctionId::kRate) factor /= Seconds(range_ms);
        Multiply(*h, factor);
        out.Set(i, std::move(h));
        break;
      }
      case FunctionId::kIrate:
      case FunctionId::kIdelta: {
        if (all.size() < 2) break;
        const MixedSample& before = all[all.size() - 2];
        const int64_t apart = last.t_ms - before.t_ms;
        const bool rate = function == FunctionId::kIrate;
        if ((last.histogram == nullptr) != (before.histogram == nullptr)) {
          notes->MixedFloatsHistograms(metric, pos);
          break;
        }
        if (last.histogram == nullptr) {
          double change = last.value - before.value;
          if (rate && (last.fresh || last.value < before.value)) change = last.value;
          out.Set(i, rate ? change / Seconds(apart) : change);
          saw_floats = true;
          break;
        }
        auto h = std::make_shared<Histogram>(*last.histogram);
        if (UsesCustomBuckets(*h) != UsesCustomBuckets(*before.histogram) &&
            !(rate && ResetBetween(before, last))) {
          notes->MixedSchemas(metric, pos);
          break;
        }
        const bool gauges = last.histogram->reset_hint == Histogram::ResetHint::kGauge;
        const bool gauge_before = before.histogram->reset_hint == Histogram::ResetHint::kGauge;
        if (rate && (gauges || gauge_before)) notes->NotCounterHistogram(metric, pos);
        if (!rate && (!gauges || !gauge_before)) notes->NotGaugeHistogram(metric, pos);
        if (!rate || !ResetBetween(before, last)) {
          CombineNotes combined;
          if (!SubtractFrom(*h, *before.histogram, &combined)) {
            notes->MixedSchemas(metric, pos);
            break;
          }
          if (combined.bounds_reconciled) notes->BoundsReconciled("subtraction", pos);
        }
        h->reset_hint = Histogram::ResetHint::kGauge;
        if (rate) Multiply(*h, 1 / Seconds(apart));
        Compact(*h);
        out.Set(i, std::move(h));
        break;
      }
      case FunctionId::kSumOverTime:
      case FunctionId::kAvgOverTime: {
        if (mixed) {
          notes->MixedFloatsHistograms(metric, pos);
          break;
        }
        HistogramTotal total(/*mean=*/function == FunctionId::kAvgOverTime);
        bool broken = false;
        bool saw_reset = false;
        bool saw_not_reset = false;
        bool reconciled = false;
        for (size_t k = 0; k < all.size(); ++k) {
          const Histogram& h = *all[k].histogram;
          saw_reset = saw_reset || h.reset_hint == Histogram::ResetHint::kReset;
          saw_not_reset = saw_not_reset || h.reset_hint == Histogram::ResetHint::kNotReset;
          CombineNotes combined;
          if (!total.Add(h, &combined)) {
            broken = true;
            break;
          }
          reconciled = reconciled || combined.bounds_reconciled;
        }
        if (broken) {
          notes->MixedSchemas(metric, pos);
          break;
        }
        if (saw_reset && saw_not_reset) notes->ResetCollision("aggregation", pos);
        if (reconciled) notes->BoundsReconciled("aggregation", pos);
        out.Set(i, total.Value());
        break;
      }
      case FunctionId::kCountOverTime:
        out.Set(i, static_cast<double>(all.size()));
        break;
      case FunctionId::kPresentOverTime:
        out.Set(i, 1.0);
        break;
      case FunctionId::kTsOfFirstOverTime:
        out.Set(i, Seconds(all.front().t_ms));
        break;
      case FunctionId::kTsOfLastOverTime:
        out.Set(i, Seconds(last.t_ms));
        break;
      case FunctionId::kFirstOverTime:
      case FunctionId::kLastOverTime: {
        const MixedSample& s = function == FunctionId::kFirstOverTime ? all.front() : last;
        if (s.histogram != nullptr) {
          out.Set(i, s.histogram);
        } else {
          out.Set(i, s.value);
        }
        break;
      }
      case FunctionId::kChanges:
      case FunctionId::kResets:
        out.Set(i, CountTurns(all, function == FunctionId::kResets));
        break;
      default:
        break;
    }
  }
  if (overlap) notes->OverlappingStarts(metric, pos);
}

void RangeKernel::RunExtended(const RangeSeries& r, Column& out) {
  const std::string_view metric = r.labels.metric_name();
  const bool counter = function == FunctionId::kRate || function == FunctionId::kIncrease;
  std::vector<MixedSample> points;
  for (int64_t i = 0; i < refs->steps; ++i) {
    if (!GoOn(64)) return;
    const int64_t end = refs->At(i);
    const int64_t start = end - range_ms;
    const auto index = [&](auto it) { return static_cast<size_t>(it - r.t_ms.begin()); };
    // Samples the window may look at, then the one at or before its start and the last one.
    const size_t lo = index(std::upper_bound(r.t_ms.begin(), r.t_ms.end(), start - lookback_ms));
    const size_t hi =
        index(std::upper_bound(r.t_ms.begin(), r.t_ms.end(), end + (smoothed ? lookback_ms : 0)));
    if (lo >= hi) continue;
    size_t last = hi - 1;
    size_t first =
        std::min(last, index(std::upper_bound(r.t_ms.begin() + static_cast<ptrdiff_t>(lo),
                                              r.t_ms.begin() + static_cast<ptrdiff_t>(hi), start)));
    if (first > lo) --first;
    if (smoothed) {
      last =
          std::min(last, index(std::lower_bound(r.t_ms.begin() + static_cast<ptrdiff_t>(lo),
                                                r.t_ms.begin() + static_cast<ptrdiff_t>(hi), end)));
    }
    if (r.t_ms[last] <= start || r.t_ms[first] > end) continue;
    auto sample = [&](size_t k) {
      return MixedSample{r.t_ms[k], r.values[k], r.histograms.empty() ? nullptr : r.histograms[k]};
    };
    points.clear();
    size_t histograms = 0;
    for (size_t k = first; k <= last; ++k) {
      points.push_back(sample(k));
      if (points.back().histogram != nullptr) ++histograms;
    }
    const auto step = static_cast<size_t>(i);
    if (function == FunctionId::kChanges || function == FunctionId::kResets) {
      out.Set(step, CountTurns(points, function == FunctionId::kResets));
      saw_floats = true;
      continue;
    }
    if (histograms > 0 && histograms < points.size()) {
      notes->MixedFloatsHistograms(metric, pos);
      continue;
    }
    const bool cut_left = smoothed && points.front().t_ms < start && points.size() > 1;
    const bool cut_right = smoothed && points.back().t_ms > end && points.size() > 1;
    if (histograms == 0) {
      const size_t n = points.size();
      const double left =
          cut_left ? Between(points[0], points[1], start, counter, true) : points[0].value;
      const double right = cut_right ? Between(points[n - 2], points[n - 1], end, counter, false)
                                     : points[n - 1].value;
      double change = right - left;
      if (counter) {
        double previous = left;
        for (const MixedSample& p : points) {
          if (p.t_ms <= start || p.t_ms >= end) continue;
          if (p.value < previous) change += previous;
          previous = p.value;
        }
        if (right < previous) change += previous;
      }
      out.Set(step, function == FunctionId::kRate ? change / Seconds(range_ms) : change);
      saw_floats = true;
      continue;
    }
    // Histograms: the edges become histograms in between, and the rest is as for whole samples.
    auto between = [&](const MixedSample& x, const MixedSample& y, int64_t t,
                       bool left) -> HistogramPtr {
      const double fraction =
          static_cast<double>(t - x.t_ms) / static_cast<double>(y.t_ms - x.t_ms);
      if (counter && DetectReset(*y.histogram, *x.histogram)) {
        auto part = std::make_shared<Histogram>(*y.histogram);
        Multiply(*part, fraction);
        CombineNotes ignored;
        if (!left && !AddTo(*part, *x.histogram, &ignored)) return nullptr;
        part->reset_hint = Histogram::ResetHint::kUnknown;
        return part;
      }
      auto h = Interpolated(*x.histogram, *y.histogram, fraction);
      return h;
    };
    if (counter) {
      for (const MixedSample& p : points) {
        if (p.histogram->reset_hint == Histogram::ResetHint::kGauge) {
          notes->NotCounterHistogram(metric, pos);
        }
      }
    }
    const bool custom = UsesCustomBuckets(*points.front().histogram);
    bool same_kind = true;
    for (const MixedSample& p : points) {
      if (UsesCustomBuckets(*p.histogram) != custom) same_kind = false;
    }
    if (!same_kind) {
      notes->MixedSchemas(metric, pos);
      continue;
    }
    const size_t n = points.size();
    HistogramPtr right =
        cut_right ? between(points[n - 2], points[n - 1], end, false) : points[n - 1].histogram;
    HistogramPtr left = cut_left ? between(points[0], points[1], start, true) : points[0].histogram;
    if (left == nullptr || right == nullptr) {
      notes->MixedSchemas(metric, pos);
      continue;
    }
    // With both edges between the same two samples the reset lies on both sides: it counts once.
    points.back().histogram = std::move(right);
    points.front().histogram = std::move(left);
    if (n == 1) points.push_back(points.front());
    std::shared_ptr<Histogram> h = HistogramChange(
        points, counter, metric, pos, *notes, cut_left ? Edge::kInterpolated : Edge::kSample,
        cut_right || n == 1 ? Edge::kInterpolated : Edge::kSample);
    if (h == nullptr) continue;
    if (function == FunctionId::kRate) Multiply(*h, 1 / Seconds(range_ms));
    out.Set(step, std::move(h));
  }
}

}  // namespace vedette::promql
