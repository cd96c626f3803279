#include <algorithm>
#include <limits>

#include "common/base/strings.h"
#include "server/promql/engine/evaluator.h"
#include "server/promql/functions/histogram_math.h"
#include "server/promql/functions/range_kernels.h"

namespace vedette::promql {

namespace {

// A decoded sample: its instant and its value.
constexpr uint64_t kDecodedBytes = 16;

constexpr uint32_t kNowhere = std::numeric_limits<uint32_t>::max();

// The newest sample in (ref - lookback, ref] for every step.
void PositionsOf(std::span<const int64_t> t_ms, const RefGrid& refs, int64_t lookback_ms,
                 std::vector<uint32_t>& out) {
  out.resize(static_cast<size_t>(refs.steps));
  uint32_t next = 0;
  const auto n = static_cast<uint32_t>(t_ms.size());
  // An instant wants the last one: no need to walk there.
  if (refs.steps == 1 && n > 0 && t_ms.back() <= refs.first_ms) next = n;
  for (int64_t i = 0; i < refs.steps; ++i) {
    const int64_t ref = refs.At(i);
    while (next < n && t_ms[next] <= ref) ++next;
    out[static_cast<size_t>(i)] =
        next > 0 && t_ms[next - 1] > ref - lookback_ms ? next - 1 : kNowhere;
  }
}

}  // namespace

Status Evaluator::StreamSelector(const VectorSelector& v, const Grid& grid, Shows shows,
                                 const Sink& sink) {
  const RefGrid refs(grid, v.shift);
  const int64_t lookback = context_.lookback_ms;
  storage::SelectHints hints;
  hints.start_ms = refs.first_ms - lookback + 1;
  hints.end_ms = refs.last_ms() + (v.smoothed ? lookback : 0);
  hints.step_ms = grid.steps > 1 ? grid.step_ms : 0;
  hints.start_times = shows == Shows::kStart;
  if (shows == Shows::kValue) {
    hints.presence_only = v.presence_only;
    hints.labels = v.labels;
  }
  const std::unique_ptr<storage::SeriesSet> set = querier_.Select(hints, v.matchers);
  if (WorthDividing(*set, grid, hints)) {
    const SeriesWork work = [&](Evaluator& on, storage::SeriesSet& part, const HeldSink& out) {
      return on.ReadSelector(v, grid, shows, part, out);
    };
    return StreamSeries(*set, grid, work, sink);
  }
  return ReadSelector(v, grid, shows, *set, [&](Column* c, uint64_t samples, uint64_t bytes) {
    return PassOn(c, samples, bytes, sink);
  });
}

Status Evaluator::ReadSelector(const VectorSelector& v, const Grid& grid, Shows shows,
                               storage::SeriesSet& set, const HeldSink& sink) {
  const RefGrid refs(grid, v.shift);
  const int64_t lookback = context_.lookback_ms;
  const uint64_t read_before = budget_.stats->samples_read;
  std::vector<uint32_t> positions;
  size_t reached = 0;  // Steps that a sample is for.
  uint64_t timeline = 0;
  const auto steps = static_cast<size_t>(grid.steps);
  Column out;
  std::vector<HistogramPtr> hinted;
  while (set.Next()) {
    VEDETTE_RETURN_IF_ERROR(budget_.Poll());
    const storage::SeriesColumns& s = set.at();
    ++budget_.stats->series;
    if (!s.histograms.empty()) {
      hinted = WithResetHints(s.histogram_before.get(), s.histograms, v.counts_only);
    }
    const std::span<const HistogramPtr> histograms =
        s.histograms.empty() ? s.histograms : std::span<const HistogramPtr>(hinted);
    if (s.timeline_key == 0 || s.timeline_key != timeline || positions.size() != steps) {
      PositionsOf(s.t_ms, refs, lookback, positions);
      reached = steps - static_cast<size_t>(std::ranges::count(positions, kNowhere));
      timeline = s.timeline_key;
    }
    out.labels = s.labels;
    out.drop_name = false;
    out.histograms.clear();
    uint64_t found = 0;
    // Mostly every step has a sample, and nothing is to be told of it but its value.
    const bool whole = reached == steps && !s.has_stale && histograms.empty() && !v.smoothed &&
                       shows == Shows::kValue;
    if (whole) {
      out.values.resize(steps);
      for (size_t i = 0; i < steps; ++i) out.values[i] = s.values[positions[i]];
      found = steps;
    } else {
      out.values.assign(steps, kAbsent);
    }
    for (size_t i = 0; i < steps && !whole; ++i) {
      const uint32_t at = positions[i];
      if (v.smoothed) {
        const int64_t ref = refs.At(static_cast<int64_t>(i));
        const size_t next =
            at != kNowhere
                ? at + 1
                : static_cast<size_t>(std::upper_bound(s.t_ms.begin(), s.t_ms.end(), ref) -
                                      s.t_ms.begin());
        const bool has_next = next < s.t_ms.size() && s.t_ms[next] <= ref + lookback;
        auto histogram = [&](size_t k) { return !histograms.empty() && histograms[k]; };
        if (at == kNowhere || IsStale(s.values[at])) continue;
        ++found;
        if (s.t_ms[at] == ref || !has_next || IsStale(s.values[next])) {
          if (histogram(at)) {
            out.Set(i, histograms[at]);
          } else {
            out.Set(i, s.values[at]);
          }
          continue;
        }
        const double fraction =
            static_cast<double>(ref - s.t_ms[at]) / static_cast<double>(s.t_ms[next] - s.t_ms[at]);
        if (histogram(at) != histogram(next)) {
          notes_.MixedFloatsHistograms(s.labels.metric_name(), v.pos);
        } else if (histogram(at)) {
          std::shared_ptr<const Histogram> h =
              Interpolated(*histograms[at], *histograms[next], fraction);
          if (h == nullptr) {
            notes_.MixedSchemas(s.labels.metric_name(), v.pos);
          } else {
            out.Set(i, std::move(h));
          }
        } else {
          out.Set(i, s.values[at] + (s.values[next] - s.values[at]) * fraction);
        }
        continue;
      }
      if (at == kNowhere) continue;
      if (s.has_stale && IsStale(s.values[at]) &&
          (histograms.empty() || histograms[at] == nullptr)) {
        continue;
      }
      ++found;
      if (shows == Shows::kTime) {
        out.values[i] = static_cast<double>(s.t_ms[at]) / 1000.0;
      } else if (shows == Shows::kStart) {
        // Where it is not known, 0.
        out.values[i] = s.start_ms.empty() ? 0 : static_cast<double>(s.start_ms[at]) / 1000.0;
      } else if (!histograms.empty() && histograms[at] != nullptr) {
        out.Set(i, histograms[at]);
      } else {
        out.values[i] = s.values[at];
      }
    }
    if (found == 0) continue;
    budget_.stats->samples_read += found;
    VEDETTE_RETURN_IF_ERROR(budget_.Work(s.t_ms.size() + steps));
    VEDETTE_RETURN_IF_ERROR(sink(&out, found, s.t_ms.size() * kDecodedBytes));
  }
  Finished(set, read_before);
  return set.status();
}

void Evaluator::Finished(const storage::SeriesSet& set, uint64_t samples_before) {
  for (std::string& w : set.warnings()) notes_.AddPlainWarning(std::move(w));
  const uint64_t bytes = set.bytes_decoded();
  budget_.stats->bytes_decoded += bytes;
  if (profiler_ == nullptr) return;
  NodeCost& cost = profiler_->Current();
  cost.samples_read += budget_.stats->samples_read - samples_before;
  cost.bytes_decoded += bytes;
}

Status Evaluator::StreamRange(const Expr& expr, const Grid& grid, std::string_view function,
                              const RangeSink& sink) {
  const Expr& inner = WithoutParens(expr);
  const auto stream = [&](const RangeSink& to) {
    if (inner.kind == Expr::Kind::kSubquery) {
      return StreamSubquery(inner.As<SubqueryExpr>(), grid, to);
    }
    return StreamMatrix(inner.As<MatrixSelector>(), grid, function, to);
  };
  if (profiler_ == nullptr) return stream(sink);
  const Profiler::Scope scope(profiler_, &inner);
  return stream([&](const RangeSeries& r) -> Status {
    NodeCost& cost = profiler_->At(inner);
    ++cost.series;
    cost.points += r.t_ms.size();
    const Profiler::Scope above(profiler_, scope.before());
    return sink(r);
  });
}

storage::SelectHints Evaluator::HintsOf(const MatrixSelector& m, const Grid& grid,
                                        std::string_view function) const {
  const VectorSelector& v = *m.selector;
  const RefGrid refs(grid, v.shift);
  const bool extended = v.anchored || v.smoothed;
  const int64_t before = m.range_ms + (extended ? context_.lookback_ms : 0);
  storage::SelectHints hints;
  hints.start_ms = refs.first_ms - before + 1;
  hints.end_ms = refs.last_ms() + (v.smoothed ? context_.lookback_ms : 0);
  hints.step_ms = grid.steps > 1 ? grid.step_ms : 0;
  hints.range_ms = m.range_ms;
  hints.function = function;
  hints.start_times = options_.start_timestamps &&
                      (function == "resets" || (!extended && (function == "rate" ||
                                                              function == "increase" ||
                                                              function == "irate")));
  hints.presence_only = function == "count_over_time" || function == "present_over_time";
  hints.takes_rolled =
      !extended && !hints.start_times && RangeKernel::TakesRolled(function);
  return hints;
}

Status Evaluator::StreamMatrix(const MatrixSelector& m, const Grid& grid,
                               std::string_view function, const RangeSink& sink) {
  const std::unique_ptr<storage::SeriesSet> set =
      querier_.Select(HintsOf(m, grid, function), m.selector->matchers);
  return ReadMatrix(m, grid, *set,
                    [&](const RangeSeries& r, uint64_t samples, uint64_t bytes) -> Status {
                      Charge charge(budget_);
                      VEDETTE_RETURN_IF_ERROR(charge.Add(samples, bytes));
                      return sink(r);
                    });
}

Status Evaluator::ReadMatrix(const MatrixSelector& m, const Grid& grid, storage::SeriesSet& set,
                             const HeldRangeSink& sink) {
  const VectorSelector& v = *m.selector;
  const RefGrid refs(grid, v.shift);
  const uint64_t read_before = budget_.stats->samples_read;
  std::vector<Window> windows;
  std::vector<int64_t> kept_t;
  std::vector<double> kept_v;
  std::vector<HistogramPtr> kept_h;
  std::vector<int64_t> kept_starts;
  uint64_t timeline = 0;
  uint64_t in_windows = 0;
  uint64_t widest = 0;
  std::vector<HistogramPtr> hinted;
  while (set.Next()) {
    VEDETTE_RETURN_IF_ERROR(budget_.Poll());
    const storage::SeriesColumns& s = set.at();
    ++budget_.stats->series;
    RangeSeries r{.labels = s.labels};
    r.t_ms = s.t_ms;
    r.values = s.values;
    if (!s.histograms.empty()) {
      hinted = WithResetHints(s.histogram_before.get(), s.histograms, v.counts_only);
      r.histograms = hinted;
    }
    r.start_ms = s.start_ms;
    r.rolled = s.rolled;
    uint64_t key = s.timeline_key;
    if (s.has_stale) {
      key = 0;
      kept_starts.clear();
      kept_t.clear();
      kept_v.clear();
      kept_h.clear();
      for (size_t i = 0; i < s.t_ms.size(); ++i) {
        const bool histogram = !r.histograms.empty() && r.histograms[i] != nullptr;
        if (!histogram && IsStale(s.values[i])) continue;
        kept_t.push_back(s.t_ms[i]);
        kept_v.push_back(s.values[i]);
        if (!r.histograms.empty()) kept_h.push_back(r.histograms[i]);
        if (!s.start_ms.empty()) kept_starts.push_back(s.start_ms[i]);
      }
      r.t_ms = kept_t;
      r.values = kept_v;
      r.histograms = kept_h;
      r.start_ms = kept_starts;
    }
    if (key == 0 || key != timeline || windows.size() != static_cast<size_t>(grid.steps)) {
      WindowsOf(r.t_ms, refs, m.range_ms, windows);
      timeline = key;
      in_windows = 0;
      widest = 0;
      for (const Window& w : windows) {
        in_windows += w.hi - w.lo;
        widest = std::max<uint64_t>(widest, w.hi - w.lo);
      }
    }
    r.windows = windows;
    budget_.stats->samples_read += in_windows;
    VEDETTE_RETURN_IF_ERROR(budget_.Work(s.t_ms.size() + windows.size()));
    VEDETTE_RETURN_IF_ERROR(sink(r, widest + static_cast<uint64_t>(grid.steps),
                                 s.t_ms.size() * kDecodedBytes));
  }
  Finished(set, read_before);
  return set.status();
}

Status Evaluator::ReadForCall(const Expr& range, const Grid& grid, storage::SeriesSet& set,
                              const HeldRangeSink& sink) {
  const auto& m = range.As<MatrixSelector>();
  if (profiler_ == nullptr) return ReadMatrix(m, grid, set, sink);
  const Profiler::Scope scope(profiler_, &range);
  return ReadMatrix(m, grid, set,
                    [&](const RangeSeries& r, uint64_t samples, uint64_t bytes) -> Status {
                      NodeCost& cost = profiler_->At(range);
                      ++cost.series;
                      cost.points += r.t_ms.size();
                      const Profiler::Scope above(profiler_, scope.before());
                      return sink(r, samples, bytes);
                    });
}

Status Evaluator::StreamSubquery(const SubqueryExpr& s, const Grid& grid, const RangeSink& sink) {
  const RefGrid refs(grid, s.shift);
  const SubquerySteps steps = StepsOfSubquery(refs.first_ms, refs.last_ms(), s.range_ms, s.step_ms);
  if (steps.steps <= 0) return {};
  // Instants, windows and a column of values: checked before the memory is taken.
  Charge charge(budget_);
  VEDETTE_RETURN_IF_ERROR(
      charge.Add(static_cast<uint64_t>(steps.steps),
                 static_cast<uint64_t>(steps.steps) * (sizeof(int64_t) + 2 * sizeof(double)) +
                     static_cast<uint64_t>(grid.steps) * 2 * sizeof(Window)));
  Grid inner;
  inner.start_ms = steps.start_ms;
  inner.step_ms = s.step_ms;
  inner.steps = steps.steps;
  std::vector<int64_t> all_t(static_cast<size_t>(inner.steps));
  for (int64_t i = 0; i < inner.steps; ++i) all_t[static_cast<size_t>(i)] = inner.At(i);
  std::vector<Window> all_windows;
  WindowsOf(all_t, refs, s.range_ms, all_windows);
  std::vector<int64_t> kept_t;
  std::vector<double> kept_v;
  std::vector<HistogramPtr> kept_h;
  std::vector<Window> kept_windows;
  return Stream(*s.expr, inner, [&](Column& c) -> Status {
    // Between the steps samples were left out or repeated: what storage knew of resets from one
    // sample to the next says nothing here.
    for (HistogramPtr& h : c.histograms) {
      if (h == nullptr || h->reset_hint == Histogram::ResetHint::kGauge ||
          h->reset_hint == Histogram::ResetHint::kUnknown) {
        continue;
      }
      auto unhinted = std::make_shared<Histogram>(*h);
      unhinted->reset_hint = Histogram::ResetHint::kUnknown;
      h = std::move(unhinted);
    }
    VEDETTE_RETURN_IF_ERROR(budget_.Work(c.values.size()));
    RangeSeries r{.labels = c.labels};
    r.drop_name = c.drop_name;
    bool complete = true;
    for (size_t i = 0; i < c.values.size() && complete; ++i) complete = c.present(i);
    if (complete) {
      r.t_ms = all_t;
      r.values = c.values;
      r.histograms = c.histograms;
      r.windows = all_windows;
    } else {
      kept_t.clear();
      kept_v.clear();
      kept_h.clear();
      for (size_t i = 0; i < c.values.size(); ++i) {
        if (!c.present(i)) continue;
        kept_t.push_back(all_t[i]);
        kept_v.push_back(c.values[i]);
        if (!c.histograms.empty()) kept_h.push_back(c.histograms[i]);
      }
      WindowsOf(kept_t, refs, s.range_ms, kept_windows);
      r.t_ms = kept_t;
      r.values = kept_v;
      r.histograms = kept_h;
      r.windows = kept_windows;
    }
    return sink(r);
  });
}

}  // namespace vedette::promql
