#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>

#include "common/base/strings.h"
#include "server/promql/engine/evaluator.h"
#include "server/promql/functions/numbers.h"
#include "server/promql/functions/range_kernels.h"

namespace vedette::promql {
namespace {

bool KeepsName(FunctionId id) {
  return id == FunctionId::kLastOverTime || id == FunctionId::kFirstOverTime;
}

bool WantsCounter(FunctionId id) {
  return id == FunctionId::kRate || id == FunctionId::kIncrease;
}

// As %f writes it.
std::string SixDigits(double v) {
  if (!std::isfinite(v)) return GoFloat(v);
  char buffer[350];
  std::snprintf(buffer, sizeof buffer, "%f", v);
  return buffer;
}

bool NamedLikeCounter(std::string_view name) {
  return name.ends_with("_total") || name.ends_with("_sum") || name.ends_with("_count") ||
         name.ends_with("_bucket");
}

// A series without a type comes from where there are none: then its name has to say it.
void NoteUnlessCounter(const Labels& labels, bool has_types, PosRange pos, Annotations& notes) {
  const std::string_view name = labels.metric_name();
  const std::string_view type = has_types ? labels.Get("__type__") : std::string_view();
  if (name.empty() || type == "counter" || type == "histogram") return;
  if (!type.empty()) {
    notes.NotCounterType(name, type, pos);
  } else if (!NamedLikeCounter(name)) {
    notes.NotCounterName(name, pos);
  }
}

}  // namespace

Status Evaluator::StreamRangeCall(const Call& call, const Grid& grid, const Sink& sink) {
  const FunctionId id = call.function->id;
  if (id == FunctionId::kAbsentOverTime) return StreamAbsent(call, grid, sink);
  const bool quantile = id == FunctionId::kQuantileOverTime;
  const Expr& range = WithoutParens(*call.args[quantile ? 1 : 0]);
  const PosRange pos = call.args[quantile ? 1 : 0]->pos;
  RangeKernel kernel;
  kernel.function = id;
  kernel.pos = pos;
  kernel.parameter_pos = call.args[0]->pos;
  kernel.grid = grid;
  TimeShift none;
  const TimeShift* shift = &none;
  if (range.kind == Expr::Kind::kMatrixSelector) {
    const auto& m = range.As<MatrixSelector>();
    shift = &m.selector->shift;
    kernel.range_ms = m.range_ms;
    kernel.anchored = m.selector->anchored;
    kernel.smoothed = m.selector->smoothed;
    kernel.lookback_ms = context_.lookback_ms;
  } else {
    shift = &range.As<SubqueryExpr>().shift;
    kernel.range_ms = range.As<SubqueryExpr>().range_ms;
  }
  const RefGrid refs(grid, *shift);
  kernel.refs = &refs;
  if (quantile) {
    VEDETTE_ASSIGN_OR_RETURN(kernel.a, Scalars(*call.args[0], grid));
  } else if (call.args.size() > 1) {
    VEDETTE_ASSIGN_OR_RETURN(kernel.a, Scalars(*call.args[1], grid));
    if (call.args.size() > 2) {
      VEDETTE_ASSIGN_OR_RETURN(kernel.b, Scalars(*call.args[2], grid));
    }
  }
  if (id == FunctionId::kDoubleExponentialSmoothing) {
    for (size_t i = 0; i < kernel.a.size(); ++i) {
      if (kernel.a[i] <= 0 || kernel.a[i] >= 1) {
        return FailedPrecondition(
            StrCat("invalid smoothing factor. Expected: 0 < sf < 1, got: ", SixDigits(kernel.a[i])));
      }
      if (kernel.b[i] <= 0 || kernel.b[i] >= 1) {
        return FailedPrecondition(
            StrCat("invalid trend factor. Expected: 0 < tf < 1, got: ", SixDigits(kernel.b[i])));
      }
    }
  }
  const bool keeps_name = KeepsName(id);
  const Sink checked = !keeps_name && unique_needed(range) ? Unique(sink, true) : sink;
  if (range.kind == Expr::Kind::kMatrixSelector) {
    const auto& m = range.As<MatrixSelector>();
    const storage::SelectHints hints = HintsOf(m, grid, call.function->name);
    std::unique_ptr<storage::SeriesSet> set;
    {
      const Profiler::Scope reading(profiler_, &range);
      set = querier_.Select(hints, m.selector->matchers);
    }
    const SeriesWork work = [&](Evaluator& on, storage::SeriesSet& part, const HeldSink& out) {
      RangeKernel own = kernel;
      Column column;  // Its memory serves one series after the other, where nobody keeps it.
      return on.ReadForCall(
          range, grid, part, [&](const RangeSeries& r, uint64_t samples, uint64_t bytes) -> Status {
            VEDETTE_RETURN_IF_ERROR(on.RangeColumn(call, grid, pos, own, r, column));
            return out(column.any() ? &column : nullptr, samples, bytes);
          });
    };
    if (WorthDividing(*set, grid, hints)) return StreamSeries(*set, grid, work, checked);
    return work(*this, *set, [&](Column* c, uint64_t samples, uint64_t bytes) {
      return PassOn(c, samples, bytes, checked);
    });
  }
  Column out;
  return StreamRange(range, grid, call.function->name, [&](const RangeSeries& r) -> Status {
    VEDETTE_RETURN_IF_ERROR(RangeColumn(call, grid, pos, kernel, r, out));
    return out.any() ? checked(out) : Status();
  });
}

Status Evaluator::RangeColumn(const Call& call, const Grid& grid, PosRange pos, RangeKernel& kernel,
                              const RangeSeries& r, Column& out) {
  const FunctionId id = call.function->id;
  Status stopped;
  kernel.notes = &notes_;
  kernel.go_on = [&](uint64_t samples) {
    stopped = budget_.Work(samples);
    return stopped.ok();
  };
  out.histograms.clear();
  out.drop_name = r.drop_name;
  out.values.assign(static_cast<size_t>(grid.steps), kAbsent);
  kernel.Run(r, out);
  VEDETTE_RETURN_IF_ERROR(stopped);
  if (!out.any()) return {};
  if (WantsCounter(id) && kernel.saw_floats) {
    NoteUnlessCounter(r.labels, options_.type_and_unit_labels, pos, notes_);
  }
  if (KeepsName(id)) {
    out.labels = r.labels;
  } else if (delayed_names()) {
    out.labels = r.labels;
    out.drop_name = true;
  } else {
    out.labels = DropName(r.labels);
  }
  return {};
}

}  // namespace vedette::promql
