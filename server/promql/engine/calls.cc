#include <algorithm>
#include <cmath>
#include <limits>

#include "common/base/strings.h"
#include "server/promql/engine/evaluator.h"
#include "server/promql/functions/numbers.h"

namespace vedette::promql {
namespace {

double Sign(double v) {
  if (v < 0) return -1;
  if (v > 0) return 1;
  return v;
}

// Functions of one float alone; null for others.
using Plain = double (*)(double);
Plain PlainFunction(FunctionId id) {
  switch (id) {
    case FunctionId::kAbs:
      return [](double v) { return std::fabs(v); };
    case FunctionId::kCeil:
      return [](double v) { return std::ceil(v); };
    case FunctionId::kFloor:
      return [](double v) { return std::floor(v); };
    case FunctionId::kExp:
      return [](double v) { return std::exp(v); };
    case FunctionId::kSqrt:
      return [](double v) { return std::sqrt(v); };
    case FunctionId::kLn:
      return [](double v) { return std::log(v); };
    case FunctionId::kLog2:
      return [](double v) { return std::log2(v); };
    case FunctionId::kLog10:
      return [](double v) { return std::log10(v); };
    case FunctionId::kSin:
      return [](double v) { return std::sin(v); };
    case FunctionId::kCos:
      return [](double v) { return std::cos(v); };
    case FunctionId::kTan:
      return [](double v) { return std::tan(v); };
    case FunctionId::kAsin:
      return [](double v) { return std::asin(v); };
    case FunctionId::kAcos:
      return [](double v) { return std::acos(v); };
    case FunctionId::kAtan:
      return [](double v) { return std::atan(v); };
    case FunctionId::kSinh:
      return [](double v) { return std::sinh(v); };
    case FunctionId::kCosh:
      return [](double v) { return std::cosh(v); };
    case FunctionId::kTanh:
      return [](double v) { return std::tanh(v); };
    case FunctionId::kAsinh:
      return [](double v) { return std::asinh(v); };
    case FunctionId::kAcosh:
      return [](double v) { return std::acosh(v); };
    case FunctionId::kAtanh:
      return [](double v) { return std::atanh(v); };
    case FunctionId::kRad:
      return [](double v) { return v * M_PI / 180; };
    case FunctionId::kDeg:
      return [](double v) { return v * 180 / M_PI; };
    case FunctionId::kSgn:
      return Sign;
    default:
      return nullptr;
  }
}

double DatePart(FunctionId id, double seconds) {
  // The calendar repeats itself every 400 years, days of the week too.
  constexpr int64_t kEra = 146'097LL * 86'400;
  // What no int64 can hold, NaN too, is 2^63 to Prometheus on the processors it mostly runs on.
  const bool fits = seconds >= -0x1p63 && seconds < 0x1p63;
  const int64_t whole = fits ? static_cast<int64_t>(seconds) : std::numeric_limits<int64_t>::max();
  const CivilTime c = CivilOf(whole % kEra + (fits ? 0 : 1));
  switch (id) {
    case FunctionId::kDayOfMonth:
      return c.day;
    case FunctionId::kDayOfWeek:
      return c.weekday;
    case FunctionId::kDayOfYear:
      return c.yearday;
    case FunctionId::kDaysInMonth:
      return c.days_in_month;
    case FunctionId::kHour:
      return c.hour;
    case FunctionId::kMinute:
      return c.minute;
    case FunctionId::kMonth:
      return c.month;
    default:
      return static_cast<double>(c.year + whole / kEra * 400);
  }
}

}  // namespace

Status Evaluator::StreamCall(const Call& call, const Grid& grid, const Sink& sink) {
  const FunctionId id = call.function->id;
  if (!call.args.empty() && call.function->args[0] == ValueType::kMatrix) {
    return StreamRangeCall(call, grid, sink);
  }
  if (PlainFunction(id) != nullptr) return StreamElementwise(call, grid, sink);
  switch (id) {
    case FunctionId::kClamp:
    case FunctionId::kClampMax:
    case FunctionId::kClampMin:
    case FunctionId::kRound:
      return StreamElementwise(call, grid, sink);
    case FunctionId::kQuantileOverTime:
      return StreamRangeCall(call, grid, sink);
    case FunctionId::kDayOfMonth:
    case FunctionId::kDayOfWeek:
    case FunctionId::kDayOfYear:
    case FunctionId::kDaysInMonth:
    case FunctionId::kHour:
    case FunctionId::kMinute:
    case FunctionId::kMonth:
    case FunctionId::kYear:
      return StreamDate(call, grid, sink);
    case FunctionId::kTimestamp:
    case FunctionId::kStartTimestamp:
      return StreamTimestamp(call, grid, sink);
    case FunctionId::kAbsent:
      return StreamAbsent(call, grid, sink);
    case FunctionId::kVector: {
      Column c;
      VEDETTE_ASSIGN_OR_RETURN(c.values, Scalars(*call.args[0], grid));
      return sink(c);
    }
    case FunctionId::kLabelReplace:
      return StreamLabelReplace(call, grid, sink);
    case FunctionId::kLabelJoin:
      return StreamLabelJoin(call, grid, sink);
    case FunctionId::kSort:
    case FunctionId::kSortDesc:
    case FunctionId::kSortByLabel:
    case FunctionId::kSortByLabelDesc:
      return StreamSort(call, grid, sink);
    case FunctionId::kHistogramAvg:
    case FunctionId::kHistogramCount:
    case FunctionId::kHistogramSum:
    case FunctionId::kHistogramStddev:
    case FunctionId::kHistogramStdvar:
      return StreamHistogramValue(call, grid, sink);
    case FunctionId::kHistogramFraction:
    case FunctionId::kHistogramQuantile:
    case FunctionId::kHistogramQuantiles:
      return StreamHistogramQuantile(call, grid, sink);
    case FunctionId::kInfo:
      return StreamInfo(call, grid, sink);
    default:
      break;
  }
  return Internal(StrCat("function ", Quoted(call.function->name), " has no implementation"));
}

Status Evaluator::StreamElementwise(const Call& call, const Grid& grid, const Sink& sink) {
  const FunctionId id = call.function->id;
  const auto steps = static_cast<size_t>(grid.steps);
  const Sink checked = unique_needed(*call.args[0]) ? Unique(sink, false) : sink;
  std::vector<double> a;
  std::vector<double> b;
  if (call.args.size() > 1) {
    VEDETTE_ASSIGN_OR_RETURN(a, Scalars(*call.args[1], grid));
  } else if (id == FunctionId::kRound) {
    a.assign(steps, 1);
  }
  if (call.args.size() > 2) {
    VEDETTE_ASSIGN_OR_RETURN(b, Scalars(*call.args[2], grid));
  }
  const Plain plain = PlainFunction(id);
  return Stream(*call.args[0], grid, [&](Column& c) -> Status {
    bool any = false;
    for (size_t i = 0; i < steps; ++i) {
      if (!c.present(i)) continue;
      if (c.is_histogram(i)) {
        c.Clear(i);  // Functions of floats leave histograms out.
        continue;
      }
      double& v = c.values[i];
      if (plain != nullptr) {
        v = plain(v);
      } else if (id == FunctionId::kClampMax) {
        v = GoMin(a[i], v);
      } else if (id == FunctionId::kClampMin) {
        v = GoMax(a[i], v);
      } else if (id == FunctionId::kClamp) {
        if (b[i] < a[i]) {
          v = kAbsent;
          continue;
        }
        v = GoMax(a[i], GoMin(b[i], v));
      } else {
        const double inverse = 1.0 / a[i];
        v = std::floor(v * inverse + 0.5) / inverse;
      }
      any = true;
    }
    if (!any) return {};
    MarkNameDropped(c);
    return checked(c);
  });
}

Status Evaluator::StreamDate(const Call& call, const Grid& grid, const Sink& sink) {
  const FunctionId id = call.function->id;
  if (call.args.empty()) {
    Column c;
    for (int64_t i = 0; i < grid.steps; ++i) {
      c.values.push_back(DatePart(id, std::floor(static_cast<double>(grid.At(i)) / 1000.0)));
    }
    return sink(c);
  }
  const Sink checked = unique_needed(*call.args[0]) ? Unique(sink, false) : sink;
  return Stream(*call.args[0], grid, [&](Column& c) -> Status {
    bool any = false;
    for (size_t i = 0; i < c.values.size(); ++i) {
      if (!c.present(i)) continue;
      if (c.is_histogram(i)) {
        c.Clear(i);
        continue;
      }
      c.values[i] = DatePart(id, c.values[i]);
      any = true;
    }
    if (!any) return {};
    MarkNameDropped(c);
    return checked(c);
  });
}

Status Evaluator::StreamTimestamp(const Call& call, const Grid& grid, const Sink& sink) {
  const Expr& arg = WithoutParens(*call.args[0]);
  const Sink checked = unique_needed(arg) ? Unique(sink, false) : sink;
  auto drop = [&](Column& c) -> Status {
    MarkNameDropped(c);
    return checked(c);
  };
  const bool starts = call.function->id == FunctionId::kStartTimestamp;
  if (arg.kind == Expr::Kind::kVectorSelector) {
    const auto& v = arg.As<VectorSelector>();
    const Shows shows = starts ? Shows::kStart : Shows::kTime;
    const Profiler::Scope scope(profiler_, &arg);
    const auto counted = [&](Column& c) -> Status {
      if (profiler_ != nullptr) {
        ++profiler_->At(arg).series;
        profiler_->At(arg).points += c.values.size();
      }
      const Profiler::Scope above(profiler_, scope.before());
      return drop(c);
    };
    if (arg.step_invariant && grid.steps > 1) {
      Grid once = grid;
      once.steps = 1;
      return StreamSelector(v, once, shows, [&](Column& c) -> Status {
        Column wide;
        wide.labels = c.labels;
        wide.values.assign(static_cast<size_t>(grid.steps), c.values[0]);
        return counted(wide);
      });
    }
    return StreamSelector(v, grid, shows, counted);
  }
  if (starts) {
    // What is computed has no start.
    return Stream(arg, grid, [&](Column& c) -> Status {
      for (size_t i = 0; i < c.values.size(); ++i) {
        if (c.present(i)) c.Set(i, 0.0);
      }
      c.histograms.clear();
      return drop(c);
    });
  }
  return Stream(arg, grid, [&](Column& c) -> Status {
    for (size_t i = 0; i < c.values.size(); ++i) {
      if (c.present(i)) c.Set(i, static_cast<double>(grid.At(static_cast<int64_t>(i))) / 1000.0);
    }
    c.histograms.clear();
    return drop(c);
  });
}

namespace {

// The labels that absent() may claim: those its selector demands by exactly one equality.
Labels AbsentLabels(const Expr& arg) {
  const Expr& e = WithoutParens(arg);
  const VectorSelector* v = nullptr;
  if (e.kind == Expr::Kind::kVectorSelector) v = &e.As<VectorSelector>();
  if (e.kind == Expr::Kind::kMatrixSelector) v = e.As<MatrixSelector>().selector.get();
  if (v == nullptr) return {};
  LabelsBuilder lb;
  std::vector<std::string> seen;
  for (const Matcher& m : v->matchers) {
    if (m.name() == kMetricNameLabel) continue;
    const bool again = std::ranges::find(seen, m.name()) != seen.end();
    if (m.op() == Matcher::Op::kEqual && !again) {
      lb.Set(m.name(), m.value());
      seen.push_back(m.name());
    } else {
      lb.Delete(m.name());
    }
  }
  return lb.Build();
}

}  // namespace

Status Evaluator::StreamAbsent(const Call& call, const Grid& grid, const Sink& sink) {
  Column out;
  out.labels = AbsentLabels(*call.args[0]);
  out.values.assign(static_cast<size_t>(grid.steps), 1);
  if (call.function->id == FunctionId::kAbsentOverTime) {
    VEDETTE_RETURN_IF_ERROR(
        StreamRange(*call.args[0], grid, call.function->name, [&](const RangeSeries& r) -> Status {
          for (size_t i = 0; i < r.windows.size(); ++i) {
            if (r.windows[i].lo < r.windows[i].hi) {
              out.values[i] = kAbsent;
            }
          }
          return {};
        }));
  } else {
    VEDETTE_RETURN_IF_ERROR(Stream(*call.args[0], grid, [&](Column& c) -> Status {
      for (size_t i = 0; i < c.values.size(); ++i) {
        if (c.present(i)) out.values[i] = kAbsent;
      }
      return {};
    }));
  }
  return Emit(out, sink);
}

}  // namespace vedette::promql
