#include "server/promql/plan/plan.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "common/base/strings.h"
#include "common/model/labels.h"
#include "server/promql/parser/function_table.h"
#include "server/promql/parser/lexer.h"

namespace vedette::promql {
namespace {

// Functions whose answer depends on the step even when their arguments do not.
bool DependsOnStep(FunctionId id) {
  switch (id) {
    case FunctionId::kTime:
    case FunctionId::kTimestamp:
    case FunctionId::kDayOfMonth:
    case FunctionId::kDayOfWeek:
    case FunctionId::kDayOfYear:
    case FunctionId::kDaysInMonth:
    case FunctionId::kHour:
    case FunctionId::kMinute:
    case FunctionId::kMonth:
    case FunctionId::kYear:
    case FunctionId::kPredictLinear:
    case FunctionId::kInfo:
      return true;
    default:
      return false;
  }
}

bool AllowsAnchored(FunctionId id) {
  return id == FunctionId::kChanges || id == FunctionId::kDelta || id == FunctionId::kIncrease ||
         id == FunctionId::kRate || id == FunctionId::kResets;
}
bool AllowsSmoothed(FunctionId id) {
  return id == FunctionId::kDelta || id == FunctionId::kIncrease || id == FunctionId::kRate;
}

class Planner {
 public:
  explicit Planner(const PlanContext& context) : c_(context) {}

  // Returns whether the subtree is the same at every step, through `invariant`.
  Status Visit(Expr& e, bool* invariant) {
    *invariant = false;
    switch (e.kind) {
      case Expr::Kind::kNumber:
      case Expr::Kind::kString:
        *invariant = true;
        break;
      case Expr::Kind::kVectorSelector: {
        auto& v = e.As<VectorSelector>();
        VEDETTE_RETURN_IF_ERROR(Shift(v.shift));
        v.counts_only = buckets_ == Buckets::kIgnored;
        v.presence_only = false;
        v.labels.reset();
        *invariant = v.shift.at != TimeShift::At::kNone;
        break;
      }
      case Expr::Kind::kMatrixSelector: {
        auto& m = e.As<MatrixSelector>();
        VEDETTE_RETURN_IF_ERROR(Positive(*m.range, &m.range_ms));
        VEDETTE_RETURN_IF_ERROR(Visit(*m.selector, invariant));
        break;
      }
      case Expr::Kind::kSubquery: {
        auto& s = e.As<SubqueryExpr>();
        VEDETTE_RETURN_IF_ERROR(Positive(*s.range, &s.range_ms));
        s.step_ms = c_.default_subquery_step_ms;
        if (s.step) {
          VEDETTE_RETURN_IF_ERROR(Positive(*s.step, &s.step_ms));
        }
        VEDETTE_RETURN_IF_ERROR(Shift(s.shift));
        bool inner = false;
        const Buckets around = std::exchange(buckets_, Buckets::kNeeded);
        VEDETTE_RETURN_IF_ERROR(Visit(*s.expr, &inner));
        buckets_ = around;
        *invariant = s.shift.at != TimeShift::At::kNone;
        break;
      }
      case Expr::Kind::kCall: {
        auto& call = e.As<Call>();
        bool all = !DependsOnStep(call.function->id);
        const Buckets around = buckets_;
        if (buckets_ != Buckets::kNeeded) buckets_ = BucketsUnder(call.function->id, buckets_);
        for (ExprPtr& arg : call.args) {
          VEDETTE_RETURN_IF_ERROR(CheckExtended(*call.function, *arg));
          bool one = false;
          VEDETTE_RETURN_IF_ERROR(Visit(*arg, &one));
          all = all && one;
        }
        buckets_ = around;
        *invariant = all;
        break;
      }
      case Expr::Kind::kAggregate: {
        auto& a = e.As<AggregateExpr>();
        bool param = true;
        if (a.param) {
          VEDETTE_RETURN_IF_ERROR(Visit(*a.param, &param));
        }
        VEDETTE_RETURN_IF_ERROR(Visit(*a.expr, invariant));
        Narrow(a);
        *invariant = *invariant && param;
        break;
      }
      case Expr::Kind::kBinary: {
        auto& b = e.As<BinaryExpr>();
        bool l = false;
        bool r = false;
        VEDETTE_RETURN_IF_ERROR(Visit(*b.lhs, &l));
        VEDETTE_RETURN_IF_ERROR(Visit(*b.rhs, &r));
        *invariant = l && r;
        break;
      }
      case Expr::Kind::kUnary:
        VEDETTE_RETURN_IF_ERROR(Visit(*e.As<UnaryExpr>().expr, invariant));
        break;
      case Expr::Kind::kParen:
        VEDETTE_RETURN_IF_ERROR(Visit(*e.As<ParenExpr>().expr, invariant));
        break;
    }
    e.step_invariant = *invariant;
    return {};
  }

 private:
  Status Error(PosRange pos, std::string_view reason) {
    return ParseErrorAt(c_.text, pos.start, reason);
  }

  Status CheckExtended(const FunctionInfo& f, const Expr& arg) {
    const Expr& inner = WithoutParens(arg);
    if (inner.kind != Expr::Kind::kMatrixSelector) return {};
    const VectorSelector& v = *inner.As<MatrixSelector>().selector;
    if (v.anchored && !AllowsAnchored(f.id)) {
      return FailedPrecondition(StrCat(
          "anchored modifier can only be used with: changes, delta, increase, rate, resets - not "
          "with ",
          f.name));
    }
    if (v.smoothed && !AllowsSmoothed(f.id)) {
      return FailedPrecondition(StrCat(
          "smoothed modifier can only be used with: delta, increase, rate - not with ", f.name));
    }
    return {};
  }

  // An aggregation right above a selector looks at the labels that it groups by and, where it counts,
  // at no value.
  static void Narrow(const AggregateExpr& a) {
    Expr* inner = a.expr.get();
    while (inner->kind == Expr::Kind::kParen) inner = inner->As<ParenExpr>().expr.get();
    if (inner->kind != Expr::Kind::kVectorSelector) return;
    auto& v = inner->As<VectorSelector>();
    const bool counts = a.op == AggregateOp::kCount || a.op == AggregateOp::kGroup;
    const bool sums = a.op == AggregateOp::kSum || a.op == AggregateOp::kAvg;
    v.presence_only = counts && !v.smoothed;
    // Of the others the order of labels, or all of them, matter.
    if (a.without || (!counts && !sums && a.op != AggregateOp::kMin && a.op != AggregateOp::kMax)) {
      return;
    }
    v.labels = a.grouping;
    // Sums name the metric in what they say of histograms, smoothing what it says of any.
    if (sums || v.smoothed) v.labels->emplace_back(kMetricNameLabel);
  }

  Status Shift(TimeShift& shift) {
    if (shift.at == TimeShift::At::kStart) shift.at_ms = c_.start_ms;
    if (shift.at == TimeShift::At::kEnd) shift.at_ms = c_.end_ms;
    if (shift.offset) {
      VEDETTE_ASSIGN_OR_RETURN(shift.offset_ms, Millis(*shift.offset));
    }
    return {};
  }

  Status Positive(const DurationExpr& d, int64_t* ms) {
    VEDETTE_ASSIGN_OR_RETURN(*ms, Millis(d));
    if (*ms <= 0) return Error(d.pos, "duration must be greater than 0");
    return {};
  }

  Result<int64_t> Millis(const DurationExpr& d) {
    VEDETTE_ASSIGN_OR_RETURN(const double seconds, Seconds(d));
    if (!std::isfinite(seconds) || std::fabs(seconds) > 9.2e12) {
      return Error(d.pos, "duration out of range");
    }
    return static_cast<int64_t>(std::round(seconds * 1000));
  }

  Result<double> Seconds(const DurationExpr& d) {
    switch (d.kind) {
      case DurationExpr::Kind::kLiteral:
        return d.seconds;
      case DurationExpr::Kind::kStep:
        return static_cast<double>(c_.step_ms) / 1000;
      case DurationExpr::Kind::kRange:
        return static_cast<double>(c_.end_ms - c_.start_ms) / 1000;
      default:
        break;
    }
    VEDETTE_ASSIGN_OR_RETURN(const double a, Seconds(*d.lhs));
    if (d.kind == DurationExpr::Kind::kNegate) return -a;
    if (d.kind == DurationExpr::Kind::kPlus) return a;
    VEDETTE_ASSIGN_OR_RETURN(const double b, Seconds(*d.rhs));
    if (d.kind == DurationExpr::Kind::kMinOf) return std::min(a, b);
    if (d.kind == DurationExpr::Kind::kMaxOf) return std::max(a, b);
    switch (d.op) {
      case BinaryOp::kAdd:
        return a + b;
      case BinaryOp::kSub:
        return a - b;
      case BinaryOp::kMul:
        return a * b;
      case BinaryOp::kDiv:
        if (b == 0) return Error(d.pos, "division by zero");
        return a / b;
      case BinaryOp::kMod:
        if (b == 0) return Error(d.pos, "modulo by zero");
        return std::fmod(a, b);
      default:
        return std::pow(a, b);
    }
  }

  // Whether somebody above looks into buckets: nobody has said so yet, they are not, they are.
  enum class Buckets : uint8_t { kOpen, kIgnored, kNeeded };

  static Buckets BucketsUnder(FunctionId id, Buckets above) {
    switch (id) {
      case FunctionId::kHistogramCount:
      case FunctionId::kHistogramSum:
      case FunctionId::kHistogramAvg:
        return Buckets::kIgnored;
      case FunctionId::kHistogramQuantile:
      case FunctionId::kHistogramQuantiles:
      case FunctionId::kHistogramFraction:
      case FunctionId::kHistogramStddev:
      case FunctionId::kHistogramStdvar:
        return Buckets::kNeeded;
      default:
        return above;
    }
  }

  const PlanContext& c_;
  Buckets buckets_ = Buckets::kOpen;
};

void Cover(const Expr& e, int64_t start, int64_t end, const PlanContext& c, TimeRange& out,
           int64_t range_ms) {
  auto refs = [&](const TimeShift& shift) {
    const bool fixed = shift.at != TimeShift::At::kNone;
    return std::pair<int64_t, int64_t>((fixed ? shift.at_ms : start) - shift.offset_ms,
                                       (fixed ? shift.at_ms : end) - shift.offset_ms);
  };
  switch (e.kind) {
    case Expr::Kind::kVectorSelector: {
      const auto& v = e.As<VectorSelector>();
      const auto [from, to] = refs(v.shift);
      const bool extended = v.anchored || v.smoothed;
      const int64_t before =
          range_ms > 0 ? range_ms + (extended ? c.lookback_ms : 0) : c.lookback_ms;
      out.Cover(from - before, to + (v.smoothed ? c.lookback_ms : 0));
      return;
    }
    case Expr::Kind::kMatrixSelector:
      Cover(*e.As<MatrixSelector>().selector, start, end, c, out, e.As<MatrixSelector>().range_ms);
      return;
    case Expr::Kind::kSubquery: {
      const auto& s = e.As<SubqueryExpr>();
      const auto [from, to] = refs(s.shift);
      const SubquerySteps steps = StepsOfSubquery(from, to, s.range_ms, s.step_ms);
      if (steps.steps > 0) {
        Cover(*s.expr, steps.start_ms, steps.start_ms + (steps.steps - 1) * s.step_ms, c, out, 0);
      }
      return;
    }
    case Expr::Kind::kCall:
      // info() asks for its info series around the samples it enriches.
      if (e.As<Call>().function->id == FunctionId::kInfo) {
        const TimeRange before = out;
        TimeRange own;
        Cover(*e.As<Call>().args[0], start, end, c, own, 0);
        out = before;
        own.Cover(start, end);
        out.Cover(own.min_ms - c.lookback_ms, own.max_ms);
      }
      break;
    default:
      break;
  }
  for (const Expr* child : Children(e)) Cover(*child, start, end, c, out, 0);
}

}  // namespace

Status PlanQuery(Expr& expr, const PlanContext& context) {
  bool invariant = false;
  return Planner(context).Visit(expr, &invariant);
}

TimeRange NeededRange(const Expr& expr, const PlanContext& context) {
  TimeRange out;
  Cover(expr, context.start_ms, context.end_ms, context, out, 0);
  return out;
}

SubquerySteps StepsOfSubquery(int64_t first_ref_ms, int64_t last_ref_ms, int64_t range_ms,
                              int64_t step_ms) {
  SubquerySteps s;
  s.start_ms = step_ms * ((first_ref_ms - range_ms) / step_ms);
  if (s.start_ms <= first_ref_ms - range_ms) s.start_ms += step_ms;
  s.steps = last_ref_ms < s.start_ms ? 0 : (last_ref_ms - s.start_ms) / step_ms + 1;
  return s;
}

}  // namespace vedette::promql
