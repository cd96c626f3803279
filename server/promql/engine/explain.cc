#include "server/promql/engine/explain.h"

#include <string>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "server/promql/functions/selection.h"
#include "server/promql/parser/function_table.h"
#include "server/promql/parser/print.h"

namespace vedette::promql {
namespace {

std::string Names(const std::vector<std::string>& labels) {
  std::string out = "(";
  for (const std::string& l : labels) StrAppend(out, out.size() > 1 ? ", " : "", l);
  return out + ")";
}

std::string OperatorOf(const Expr& e) {
  switch (e.kind) {
    case Expr::Kind::kNumber:
    case Expr::Kind::kString:
      return "literal";
    case Expr::Kind::kVectorSelector:
      return "selector";
    case Expr::Kind::kMatrixSelector:
      return "range selector";
    case Expr::Kind::kSubquery:
      return "subquery";
    case Expr::Kind::kAggregate: {
      const auto& a = e.As<AggregateExpr>();
      std::string out(OpText(a.op));
      if (a.without) return StrCat(out, " without ", Names(a.grouping));
      return a.grouping.empty() ? out : StrCat(out, " by ", Names(a.grouping));
    }
    case Expr::Kind::kCall:
      return std::string(e.As<Call>().function->name);
    case Expr::Kind::kBinary: {
      const auto& b = e.As<BinaryExpr>();
      std::string out = StrCat(OpText(b.op), b.return_bool ? " bool" : "");
      const VectorMatching& m = b.matching;
      if (m.given) StrAppend(out, m.on ? " on " : " ignoring ", Names(m.labels));
      if (m.card == VectorMatching::Card::kManyToOne) StrAppend(out, " group_left ", Names(m.include));
      if (m.card == VectorMatching::Card::kOneToMany) {
        StrAppend(out, " group_right ", Names(m.include));
      }
      return out;
    }
    case Expr::Kind::kUnary:
      return e.As<UnaryExpr>().negate ? "unary -" : "unary +";
    case Expr::Kind::kParen:
      return "()";
  }
  return "";
}

class Explainer {
 public:
  Explainer(const PlanContext& context, storage::Querier& querier, Profiler* costs)
      : context_(context), querier_(querier), costs_(costs) {}

  Result<PlanNode> Node(const Expr& written, const Grid& grid) {
    const Expr& e = WithoutParens(written);
    PlanNode out;
    out.op = OperatorOf(e);
    out.text = Print(e);
    out.type = TypeName(e.type);
    out.position = e.pos.start;
    out.end_position = e.pos.end;
    out.step_invariant = e.step_invariant;
    Grid below = grid;
    if (e.kind == Expr::Kind::kVectorSelector) {
      VEDETTE_RETURN_IF_ERROR(Selector(e.As<VectorSelector>(), grid, 0, out));
    } else if (e.kind == Expr::Kind::kMatrixSelector) {
      const auto& m = e.As<MatrixSelector>();
      VEDETTE_RETURN_IF_ERROR(Selector(*m.selector, grid, m.range_ms, out));
    } else if (e.kind == Expr::Kind::kSubquery) {
      const auto& s = e.As<SubqueryExpr>();
      const RefGrid refs(grid, s.shift);
      const SubquerySteps steps =
          StepsOfSubquery(refs.first_ms, refs.last_ms(), s.range_ms, s.step_ms);
      below.start_ms = steps.start_ms;
      below.step_ms = s.step_ms;
      below.steps = steps.steps;
      StrAppend(out.op, ", ", steps.steps, " steps");
    }
    if (e.kind != Expr::Kind::kMatrixSelector) {
      for (const Expr* child : Children(e)) {
        VEDETTE_ASSIGN_OR_RETURN(PlanNode node, Node(*child, below));
        out.children.push_back(std::move(node));
      }
    }
    if (costs_ == nullptr) return out;
    const NodeCost& cost = costs_->At(e);
    out.series = cost.series;
    out.points = cost.points;
    out.samples_read = cost.samples_read;
    out.bytes_decoded = cost.bytes_decoded;
    // Parentheses are looked through, and what they took is theirs that they stand around.
    int64_t self_ns = cost.self_ns;
    for (const Expr* p = &written; p != &e; p = p->As<ParenExpr>().expr.get()) {
      self_ns += costs_->At(*p).self_ns;
    }
    out.self_seconds = static_cast<double>(self_ns) / 1e9;
    out.total_seconds = out.self_seconds;
    for (const PlanNode& c : out.children) out.total_seconds += c.total_seconds;
    return out;
  }

 private:
  Status Selector(const VectorSelector& v, const Grid& grid, int64_t range_ms, PlanNode& out) {
    const RefGrid refs(grid, v.shift);
    const bool extended = v.anchored || v.smoothed;
    int64_t before = context_.lookback_ms;
    if (range_ms > 0) before = range_ms + (extended ? context_.lookback_ms : 0);
    out.selects = true;
    out.min_ms = refs.first_ms - before + 1;
    out.max_ms = refs.last_ms() + (v.smoothed ? context_.lookback_ms : 0);
    VEDETTE_ASSIGN_OR_RETURN(const std::vector<Labels> series,
                             querier_.SeriesLabels(v.matchers, nullptr));
    out.matching_series = series.size();
    return {};
  }

  const PlanContext& context_;
  storage::Querier& querier_;
  Profiler* const costs_;
};

}  // namespace

Result<PlanNode> ExplainTree(const Expr& expr, const Grid& grid, const PlanContext& context,
                             storage::Querier& querier, Profiler* costs) {
  return Explainer(context, querier, costs).Node(expr, grid);
}

}  // namespace vedette::promql
