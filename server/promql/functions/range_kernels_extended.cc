// `anchored` and `smoothed` ranges: samples around the window count too.
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "server/promql/functions/extrapolation.h"
#include "server/promql/functions/histogram_math.h"
#include "server/promql/functions/mixed_window.h"
#include "server/promql/functions/range_kernels.h"

namespace vedette::promql {
namespace {

// A float between two samples; a counter that was reset between them rises from 0.
double Between(const MixedSample& a, const MixedSample& b, int64_t t, bool counter) {
  const double from = counter && b.value < a.value ? 0 : a.value;
  return from +
         (b.value - from) * static_cast<double>(t - a.t_ms) / static_cast<double>(b.t_ms - a.t_ms);
}

}  // namespace

void RangeKernel::RunExtended(const RangeSeries& r, Column& out) {
  const std::string_view metric = r.labels.metric_name();
  const bool counter = function == FunctionId::kRate || function == FunctionId::kIncrease;
  const bool turns = function == FunctionId::kChanges || function == FunctionId::kResets;
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
    if (!turns && !r.histograms.empty()) {
      // One kind wherever the window may look.
      size_t histograms = 0;
      for (size_t k = lo; k < hi; ++k) histograms += r.histograms[k] != nullptr ? 1 : 0;
      if (histograms > 0 && histograms < hi - lo) {
        notes->MixedFloatsHistograms(metric, pos);
        continue;
      }
    }
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
    points.clear();
    for (size_t k = first; k <= last; ++k) {
      points.push_back({r.t_ms[k], r.values[k], r.histograms.empty() ? nullptr : r.histograms[k]});
      if (!r.start_ms.empty()) points.back().start_ms = r.start_ms[k];
    }
    const auto step = static_cast<size_t>(i);
    if (turns) {
      if (!r.start_ms.empty()) (void)MarkFresh(points);
      out.Set(step, CountTurns(points, function == FunctionId::kResets));
      saw_floats = true;
      continue;
    }
    const bool cut_left = smoothed && points.front().t_ms < start && points.size() > 1;
    const bool cut_right = smoothed && points.back().t_ms > end && points.size() > 1;
    if (points.front().histogram == nullptr) {
      const size_t n = points.size();
      const double left = cut_left ? Between(points[0], points[1], start, counter) : points[0].value;
      const double right =
          cut_right ? Between(points[n - 2], points[n - 1], end, counter) : points[n - 1].value;
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
    // Histograms: the edges become histograms in between, and the rest is as for whole samples. A
    // counter that was reset in between rises from 0, or from `base`.
    auto between = [&](const MixedSample& x, const MixedSample& y, int64_t t,
                       const Histogram* base) -> HistogramPtr {
      const double fraction =
          static_cast<double>(t - x.t_ms) / static_cast<double>(y.t_ms - x.t_ms);
      if (!counter || !DetectReset(*y.histogram, *x.histogram)) {
        return Interpolated(*x.histogram, *y.histogram, fraction);
      }
      auto part = std::make_shared<Histogram>(*y.histogram);
      Multiply(*part, fraction);
      CombineNotes ignored;
      if (base != nullptr && !AddTo(*part, *base, &ignored)) return nullptr;
      part->reset_hint = Histogram::ResetHint::kUnknown;
      return part;
    };
    const bool custom = UsesCustomBuckets(*points.front().histogram);
    bool same_kind = true;
    for (const MixedSample& p : points) {
      same_kind = UsesCustomBuckets(*p.histogram) == custom;
      if (!same_kind) break;
      if (counter && p.histogram->reset_hint == Histogram::ResetHint::kGauge) {
        notes->NotCounterHistogram(metric, pos);
      }
    }
    if (!same_kind) {
      notes->MixedSchemas(metric, pos);
      continue;
    }
    const size_t n = points.size();
    // The right edge goes on where the last sample was, so that a reset behind it is in the change;
    // not where the left edge is between the same two samples and has begun at 0 as well.
    const HistogramPtr base = cut_right && !(cut_left && n == 2) ? points[n - 2].histogram : nullptr;
    HistogramPtr right = cut_right ? between(points[n - 2], points[n - 1], end, base.get())
                                   : points[n - 1].histogram;
    HistogramPtr left =
        cut_left ? between(points[0], points[1], start, nullptr) : points[0].histogram;
    if (left == nullptr || right == nullptr) {
      notes->MixedSchemas(metric, pos);
      continue;
    }
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
