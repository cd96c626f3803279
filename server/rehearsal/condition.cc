#include "server/rehearsal/condition.h"

#include "server/promql/parser/ast.h"
#include "server/promql/parser/print.h"

namespace vedette::rehearsal {
namespace {

using promql::BinaryOp;
using promql::Expr;

std::optional<ruler::AlertCondition> Find(const Expr& expr) {
  if (expr.kind == Expr::Kind::kParen) {
    return Find(*static_cast<const promql::ParenExpr&>(expr).expr);
  }
  if (expr.kind != Expr::Kind::kBinary) return std::nullopt;
  const auto& binary = static_cast<const promql::BinaryExpr&>(expr);
  // `a > 1 and b < 2` and `a > 1 unless b` give the values of a.
  if (binary.op == BinaryOp::kAnd || binary.op == BinaryOp::kUnless) return Find(*binary.lhs);
  if (!promql::IsComparison(binary.op) || binary.return_bool) return std::nullopt;
  const bool number_first = binary.lhs->type == promql::ValueType::kScalar;
  bool lower = binary.op == BinaryOp::kLess || binary.op == BinaryOp::kLessEqual;
  const bool greater = binary.op == BinaryOp::kGreater || binary.op == BinaryOp::kGreaterEqual;
  if (number_first && (lower || greater)) lower = !lower;
  return ruler::AlertCondition{.measured = Print(number_first ? *binary.rhs : *binary.lhs),
                               .lower_is_worse = lower};
}

}  // namespace

std::optional<ruler::AlertCondition> ConditionOf(const std::string& expr,
                                                 const promql::ParserOptions& options) {
  const auto parsed = promql::ParseExpr(expr, options);
  if (!parsed.ok()) return std::nullopt;
  return Find(**parsed);
}

}  // namespace vedette::rehearsal
