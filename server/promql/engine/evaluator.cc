#include "server/promql/engine/evaluator.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "common/base/strings.h"
#include "server/promql/engine/operators.h"
#include "server/promql/functions/histogram_math.h"

namespace vedette::promql {

Labels Evaluator::DropName(const Labels& labels) const {
  if (!options_.type_and_unit_labels) return labels.WithoutName();
  static const std::vector<std::string> kIdentity = {"__name__", "__type__", "__unit__"};
  return labels.Without(kIdentity);
}

void Evaluator::MarkNameDropped(Column& c) const {
  if (delayed_names()) {
    c.drop_name = true;
  } else {
    c.labels = DropName(c.labels);
  }
}

Status Evaluator::Emit(Column& c, const Sink& sink) { return c.any() ? sink(c) : Status(); }

namespace {

// Whether all series of the expression bear one metric name, so that dropping it makes no two
// alike.
bool OneName(const Expr& e) {
  switch (e.kind) {
    case Expr::Kind::kVectorSelector:
      for (const Matcher& m : e.As<VectorSelector>().matchers) {
        if (m.name() == kMetricNameLabel && m.op() == Matcher::Op::kEqual) return true;
      }
      return false;
    case Expr::Kind::kMatrixSelector:
      return OneName(*e.As<MatrixSelector>().selector);
    case Expr::Kind::kSubquery:
      return OneName(*e.As<SubqueryExpr>().expr);
    case Expr::Kind::kParen:
      return OneName(*e.As<ParenExpr>().expr);
    default:
      return false;
  }
}

}  // namespace

bool Evaluator::unique_needed(const Expr& expr) const { return !delayed_names() && !OneName(expr); }

Sink Evaluator::Unique(const Sink& sink, bool whole) {
  auto seen = std::make_shared<std::unordered_map<Labels, std::vector<bool>, LabelsHash>>();
  auto charge = std::make_shared<Charge>(budget_);
  return [sink, whole, seen, charge](Column& c) -> Status {
    auto [it, fresh] = seen->try_emplace(c.labels);
    if (fresh) {
      VEDETTE_RETURN_IF_ERROR(
          charge->Add(0, 96 + c.labels.bytes().size() + c.values.size() / 8));
    }
    if (!fresh && whole) return FailedPrecondition(kSameLabelset);
    std::vector<bool>& there = it->second;
    there.resize(c.values.size());
    for (size_t i = 0; i < c.values.size(); ++i) {
      if (!c.present(i)) continue;
      if (there[i]) return FailedPrecondition(kSameLabelset);
      there[i] = true;
    }
    return sink(c);
  };
}

Result<std::vector<Column>> Evaluator::Finish(std::vector<Column> columns) const {
  std::unordered_map<Labels, size_t, LabelsHash> index;
  std::vector<Column> out;
  out.reserve(columns.size());
  for (Column& c : columns) {
    if (c.drop_name) {
      c.labels = DropName(c.labels);
      c.drop_name = false;
    }
    const auto [it, fresh] = index.try_emplace(c.labels, out.size());
    if (fresh) {
      out.push_back(std::move(c));
      continue;
    }
    Column& into = out[it->second];
    for (size_t i = 0; i < c.values.size(); ++i) {
      if (!c.present(i)) continue;
      if (into.present(i)) return FailedPrecondition(kSameLabelset);
      if (c.is_histogram(i)) {
        into.Set(i, c.histograms[i]);
      } else {
        into.Set(i, c.values[i]);
      }
    }
  }
  return out;
}

Status Evaluator::Stream(const Expr& expr, const Grid& grid, const Sink& sink) {
  VEDETTE_RETURN_IF_ERROR(budget_.Poll());
  if (profiler_ == nullptr) return StreamNode(expr, grid, sink);
  const Profiler::Scope scope(profiler_, &expr);
  return StreamNode(expr, grid, [&](Column& c) -> Status {
    NodeCost& cost = profiler_->At(expr);
    ++cost.series;
    for (size_t i = 0; i < c.values.size(); ++i) cost.points += c.present(i) ? 1 : 0;
    const Profiler::Scope above(profiler_, scope.before());
    return sink(c);
  });
}

Status Evaluator::StreamNode(const Expr& expr, const Grid& grid, const Sink& sink) {
  if (expr.step_invariant && grid.steps > 1) {
    // Worked out once, and then the same at every step.
    Grid once = grid;
    once.steps = 1;
    return StreamNode(expr, once, [&](Column& c) -> Status {
      const auto steps = static_cast<size_t>(grid.steps);
      Column wide;
      wide.labels = std::move(c.labels);
      wide.drop_name = c.drop_name;
      wide.values.assign(steps, c.values[0]);
      if (c.is_histogram(0)) wide.histograms.assign(steps, c.histograms[0]);
      return sink(wide);
    });
  }
  switch (expr.kind) {
    case Expr::Kind::kVectorSelector:
      return StreamSelector(expr.As<VectorSelector>(), grid, Shows::kValue, sink);
    case Expr::Kind::kParen:
      return Stream(*expr.As<ParenExpr>().expr, grid, sink);
    case Expr::Kind::kCall:
      return StreamCall(expr.As<Call>(), grid, sink);
    case Expr::Kind::kAggregate:
      return StreamAggregate(expr.As<AggregateExpr>(), grid, sink);
    case Expr::Kind::kBinary:
      return StreamBinary(expr.As<BinaryExpr>(), grid, sink);
    case Expr::Kind::kUnary:
      return StreamUnary(expr.As<UnaryExpr>(), grid, sink);
    default:
      break;
  }
  return Internal(StrCat("a ", DocumentedType(expr.type), " where a vector was expected"));
}

Result<std::vector<Column>> Evaluator::Collect(const Expr& expr, const Grid& grid,
                                               Charge& charge) {
  std::vector<Column> out;
  Status failure = Stream(expr, grid, [&](Column& c) -> Status {
    VEDETTE_RETURN_IF_ERROR(charge.Add(c));
    out.push_back(std::move(c));
    c = Column();
    return {};
  });
  if (!failure.ok()) return failure;
  return out;
}

Result<std::vector<double>> Evaluator::Scalars(const Expr& expr, const Grid& grid) {
  VEDETTE_RETURN_IF_ERROR(budget_.Work(static_cast<uint64_t>(grid.steps)));
  // Rows of scalars live as long as the operators around them: those are charged for the depth.
  Charge charge(budget_);
  VEDETTE_RETURN_IF_ERROR(charge.Add(0, static_cast<uint64_t>(grid.steps) * sizeof(double)));
  if (profiler_ == nullptr) return ScalarsOf(expr, grid);
  const Profiler::Scope scope(profiler_, &expr);
  Result<std::vector<double>> out = ScalarsOf(expr, grid);
  NodeCost& cost = profiler_->At(expr);
  cost.series = 1;
  if (out.ok()) cost.points += out->size();
  return out;
}

Result<std::vector<double>> Evaluator::ScalarsOf(const Expr& expr, const Grid& grid) {
  const auto steps = static_cast<size_t>(grid.steps);
  if (expr.step_invariant && grid.steps > 1 && expr.kind != Expr::Kind::kNumber) {
    Grid once = grid;
    once.steps = 1;
    VEDETTE_ASSIGN_OR_RETURN(std::vector<double> one, ScalarsOf(expr, once));
    return std::vector<double>(steps, one[0]);
  }
  switch (expr.kind) {
    case Expr::Kind::kNumber:
      return std::vector<double>(steps, expr.As<NumberLiteral>().value);
    case Expr::Kind::kParen:
      return Scalars(*expr.As<ParenExpr>().expr, grid);
    case Expr::Kind::kUnary: {
      VEDETTE_ASSIGN_OR_RETURN(std::vector<double> v, Scalars(*expr.As<UnaryExpr>().expr, grid));
      if (expr.As<UnaryExpr>().negate) {
        for (double& x : v) x = -x;
      }
      return v;
    }
    case Expr::Kind::kBinary: {
      const auto& b = expr.As<BinaryExpr>();
      VEDETTE_ASSIGN_OR_RETURN(std::vector<double> l, Scalars(*b.lhs, grid));
      VEDETTE_ASSIGN_OR_RETURN(const std::vector<double> r, Scalars(*b.rhs, grid));
      for (size_t i = 0; i < steps; ++i) l[i] = ScalarOp(b.op, l[i], r[i]);
      return l;
    }
    case Expr::Kind::kCall: {
      const auto& call = expr.As<Call>();
      std::vector<double> out(steps);
      switch (call.function->id) {
        case FunctionId::kTime:
          for (size_t i = 0; i < steps; ++i) {
            out[i] = static_cast<double>(grid.At(static_cast<int64_t>(i))) / 1000.0;
          }
          return out;
        case FunctionId::kPi:
          out.assign(steps, M_PI);
          return out;
        case FunctionId::kStart:
          out.assign(steps, static_cast<double>(context_.start_ms) / 1000.0);
          return out;
        case FunctionId::kEnd:
          out.assign(steps, static_cast<double>(context_.end_ms) / 1000.0);
          return out;
        case FunctionId::kStep:
          out.assign(steps, static_cast<double>(context_.step_ms) / 1000.0);
          return out;
        case FunctionId::kRange:
          out.assign(steps, static_cast<double>(context_.end_ms - context_.start_ms) / 1000.0);
          return out;
        case FunctionId::kMinOf:
        case FunctionId::kMaxOf: {
          VEDETTE_ASSIGN_OR_RETURN(const std::vector<double> a, Scalars(*call.args[0], grid));
          VEDETTE_ASSIGN_OR_RETURN(const std::vector<double> b, Scalars(*call.args[1], grid));
          const bool min = call.function->id == FunctionId::kMinOf;
          for (size_t i = 0; i < steps; ++i) out[i] = min ? GoMin(a[i], b[i]) : GoMax(a[i], b[i]);
          return out;
        }
        case FunctionId::kScalar: {
          // One float at a step gives it; none, or several, give NaN.
          out.assign(steps, kNormalNan);
          std::vector<uint32_t> count(steps);
          VEDETTE_RETURN_IF_ERROR(Stream(*call.args[0], grid, [&](Column& c) -> Status {
            for (size_t i = 0; i < steps; ++i) {
              if (!c.present(i) || c.is_histogram(i)) continue;
              out[i] = ++count[i] == 1 ? c.values[i] : kNormalNan;
            }
            return {};
          }));
          return out;
        }
        default:
          break;
      }
      break;
    }
    default:
      break;
  }
  return Internal(StrCat("a ", DocumentedType(expr.type), " where a scalar was expected"));
}

Result<Matrix> Evaluator::RangeAt(const Expr& expr, const Grid& grid) {
  Matrix out;
  VEDETTE_RETURN_IF_ERROR(StreamRange(expr, grid, "", [&](const RangeSeries& r) -> Status {
    const Window w = r.windows[0];
    if (w.lo == w.hi) return {};
    VEDETTE_RETURN_IF_ERROR(budget_.Hold(w.hi - w.lo));
    VEDETTE_RETURN_IF_ERROR(
        budget_.HoldBytes(sizeof(Series) + r.labels.bytes().size() + (w.hi - w.lo) * sizeof(Point)));
    Series s;
    s.metric = r.drop_name ? DropName(r.labels) : r.labels;
    for (uint32_t i = w.lo; i < w.hi; ++i) {
      s.points.push_back({.t_ms = r.t_ms[i],
                          .value = r.values[i],
                          .histogram = r.histograms.empty() ? nullptr : r.histograms[i]});
    }
    out.push_back(std::move(s));
    return {};
  }));
  std::sort(out.begin(), out.end(),
            [](const Series& a, const Series& b) { return a.metric < b.metric; });
  for (size_t i = 1; i < out.size(); ++i) {
    if (out[i].metric == out[i - 1].metric) return FailedPrecondition(kSameLabelset);
  }
  return out;
}

Status Evaluator::StreamUnary(const UnaryExpr& u, const Grid& grid, const Sink& sink) {
  if (!u.negate) return Stream(*u.expr, grid, sink);
  const Sink checked = unique_needed(*u.expr) ? Unique(sink, false) : sink;
  return Stream(*u.expr, grid, [&](Column& c) -> Status {
    MarkNameDropped(c);
    for (size_t i = 0; i < c.values.size(); ++i) {
      if (c.is_histogram(i)) {
        auto h = std::make_shared<Histogram>(*c.histograms[i]);
        Multiply(*h, -1);
        c.histograms[i] = std::move(h);
      } else if (c.present(i)) {
        c.values[i] = -c.values[i];
      }
    }
    return checked(c);
  });
}

}  // namespace vedette::promql
