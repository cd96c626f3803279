#include "server/promql/parser/ast.h"

namespace vedette::promql {

std::string_view DocumentedType(ValueType type) {
  switch (type) {
    case ValueType::kNone:
      return "none";
    case ValueType::kScalar:
      return "scalar";
    case ValueType::kVector:
      return "instant vector";
    case ValueType::kMatrix:
      return "range vector";
    case ValueType::kString:
      return "string";
  }
  return "none";
}

std::string_view TypeName(ValueType type) {
  switch (type) {
    case ValueType::kNone:
      return "none";
    case ValueType::kScalar:
      return "scalar";
    case ValueType::kVector:
      return "vector";
    case ValueType::kMatrix:
      return "matrix";
    case ValueType::kString:
      return "string";
  }
  return "none";
}

std::string_view OpText(BinaryOp op) {
  switch (op) {
    case BinaryOp::kAdd:
      return "+";
    case BinaryOp::kSub:
      return "-";
    case BinaryOp::kMul:
      return "*";
    case BinaryOp::kDiv:
      return "/";
    case BinaryOp::kMod:
      return "%";
    case BinaryOp::kPow:
      return "^";
    case BinaryOp::kAtan2:
      return "atan2";
    case BinaryOp::kEqual:
      return "==";
    case BinaryOp::kNotEqual:
      return "!=";
    case BinaryOp::kGreater:
      return ">";
    case BinaryOp::kLess:
      return "<";
    case BinaryOp::kGreaterEqual:
      return ">=";
    case BinaryOp::kLessEqual:
      return "<=";
    case BinaryOp::kTrimUpper:
      return "</";
    case BinaryOp::kTrimLower:
      return ">/";
    case BinaryOp::kAnd:
      return "and";
    case BinaryOp::kOr:
      return "or";
    case BinaryOp::kUnless:
      return "unless";
  }
  return "?";
}

bool IsComparison(BinaryOp op) { return op >= BinaryOp::kEqual && op <= BinaryOp::kLessEqual; }
bool IsSetOp(BinaryOp op) { return op >= BinaryOp::kAnd; }

std::string_view OpText(AggregateOp op) {
  switch (op) {
    case AggregateOp::kSum:
      return "sum";
    case AggregateOp::kAvg:
      return "avg";
    case AggregateOp::kCount:
      return "count";
    case AggregateOp::kMin:
      return "min";
    case AggregateOp::kMax:
      return "max";
    case AggregateOp::kGroup:
      return "group";
    case AggregateOp::kStddev:
      return "stddev";
    case AggregateOp::kStdvar:
      return "stdvar";
    case AggregateOp::kTopk:
      return "topk";
    case AggregateOp::kBottomk:
      return "bottomk";
    case AggregateOp::kCountValues:
      return "count_values";
    case AggregateOp::kQuantile:
      return "quantile";
    case AggregateOp::kLimitk:
      return "limitk";
    case AggregateOp::kLimitRatio:
      return "limit_ratio";
  }
  return "?";
}

bool TakesParameter(AggregateOp op) { return op >= AggregateOp::kTopk; }

std::vector<const Expr*> Children(const Expr& expr) {
  std::vector<const Expr*> out;
  switch (expr.kind) {
    case Expr::Kind::kNumber:
    case Expr::Kind::kString:
    case Expr::Kind::kVectorSelector:
      break;
    case Expr::Kind::kMatrixSelector:
      out.push_back(expr.As<MatrixSelector>().selector.get());
      break;
    case Expr::Kind::kSubquery:
      out.push_back(expr.As<SubqueryExpr>().expr.get());
      break;
    case Expr::Kind::kAggregate:
      if (expr.As<AggregateExpr>().param) out.push_back(expr.As<AggregateExpr>().param.get());
      out.push_back(expr.As<AggregateExpr>().expr.get());
      break;
    case Expr::Kind::kCall:
      for (const ExprPtr& arg : expr.As<Call>().args) out.push_back(arg.get());
      break;
    case Expr::Kind::kBinary:
      out.push_back(expr.As<BinaryExpr>().lhs.get());
      out.push_back(expr.As<BinaryExpr>().rhs.get());
      break;
    case Expr::Kind::kUnary:
      out.push_back(expr.As<UnaryExpr>().expr.get());
      break;
    case Expr::Kind::kParen:
      out.push_back(expr.As<ParenExpr>().expr.get());
      break;
  }
  return out;
}

const Expr& WithoutParens(const Expr& expr) {
  const Expr* e = &expr;
  while (e->kind == Expr::Kind::kParen) e = e->As<ParenExpr>().expr.get();
  return *e;
}

}  // namespace vedette::promql
