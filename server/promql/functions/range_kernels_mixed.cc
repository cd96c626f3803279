// Windows that hold native histograms, alone or among floats.
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "server/promql/functions/extrapolation.h"
#include "server/promql/functions/histogram_math.h"
#include "server/promql/functions/mixed_window.h"
#include "server/promql/functions/range_kernels.h"
#include "server/promql/functions/start_turn.h"

namespace vedette::promql {
namespace {

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

}  // namespace

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
    if (!r.start_ms.empty() && histograms > 0) {
      const bool overlaps = MarkFresh(all);
      overlap |= overlaps && histograms == all.size() && SaysOverlaps(function);
    }
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

}  // namespace vedette::promql
