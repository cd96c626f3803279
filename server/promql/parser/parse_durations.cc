#include "server/promql/parser/grammar.h"

#include <cmath>
#include <memory>
#include <utility>

namespace vedette::promql {

Status Parser::CheckPositive(const DurationExpr& d) const {
  if (d.kind == DurationExpr::Kind::kLiteral && !(d.seconds > 0)) {
    return Error(d.pos.start, "duration must be greater than 0");
  }
  if (d.kind == DurationExpr::Kind::kLiteral && d.seconds > 9.2e9 * 1000) {
    return Error(d.pos.start, "duration out of range");
  }
  return {};
}

DurationExprPtr Parser::NewDuration(DurationExpr::Kind kind, int32_t start) {
  auto d = std::make_unique<DurationExpr>();
  d->kind = kind;
  d->pos = {start, last_end_};
  return d;
}

Result<DurationExprPtr> Parser::Duration(int min_precedence) {
  if (++nesting_ > options_.max_nesting()) {
    return TooDeep(Peek().pos.start, options_.max_nesting());
  }
  Result<DurationExprPtr> d = DurationInside(min_precedence);
  --nesting_;
  return d;
}

Result<DurationExprPtr> Parser::DurationInside(int min_precedence) {
  DurationExprPtr lhs;
  const int32_t start = Peek().pos.start;
  int length = 0;
  if (IsOp(BinaryOp::kSub) || IsOp(BinaryOp::kAdd)) {
    const bool negate = Take().op == BinaryOp::kSub;
    VEDETTE_ASSIGN_OR_RETURN(DurationExprPtr inner, Duration(kUnaryPrecedence + 1));
    lhs = Signed(negate, std::move(inner), start);
  } else {
    VEDETTE_ASSIGN_OR_RETURN(lhs, DurationOperand());
  }
  while (Is(Tok::kOp)) {
    const BinaryOp op = Peek().op;
    if (op != BinaryOp::kAdd && op != BinaryOp::kSub && op != BinaryOp::kMul &&
        op != BinaryOp::kDiv && op != BinaryOp::kMod && op != BinaryOp::kPow) {
      return Unexpected("duration expression");
    }
    const OpInfo info = InfoOf(op);
    if (info.precedence < min_precedence) break;
    if (++length > options_.max_depth) return TooDeep(start, options_.max_depth);
    const int32_t op_at = Take().pos.start;
    VEDETTE_ASSIGN_OR_RETURN(
        DurationExprPtr rhs,
        Duration(info.right_associative ? info.precedence : info.precedence + 1));
    if ((op == BinaryOp::kDiv || op == BinaryOp::kMod) &&
        rhs->kind == DurationExpr::Kind::kLiteral && rhs->seconds == 0) {
      return Error(op_at, op == BinaryOp::kDiv ? "division by zero" : "modulo by zero");
    }
    auto node = NewDuration(DurationExpr::Kind::kBinary, start);
    node->op = op;
    node->lhs = std::move(lhs);
    node->rhs = std::move(rhs);
    lhs = std::move(node);
  }
  return lhs;
}

DurationExprPtr Parser::Signed(bool negate, DurationExprPtr inner, int32_t start) {
  if (inner->kind == DurationExpr::Kind::kLiteral && !inner->in_parens) {
    if (negate) inner->seconds = -inner->seconds;
    inner->pos.start = start;
    return inner;
  }
  auto node = NewDuration(negate ? DurationExpr::Kind::kNegate : DurationExpr::Kind::kPlus, start);
  node->lhs = std::move(inner);
  return node;
}

Result<DurationExprPtr> Parser::DurationOperand() {
  const int32_t start = Peek().pos.start;
  if (Is(Tok::kNumber) || Is(Tok::kDuration)) {
    const Token t = Take();
    auto d = NewDuration(DurationExpr::Kind::kLiteral, start);
    if (!std::isfinite(t.number)) return Error(start, "duration out of range");
    d->seconds = t.number;
    d->is_duration_text = t.kind == Tok::kDuration;
    return d;
  }
  if (Accept(Tok::kLeftParen)) {
    VEDETTE_ASSIGN_OR_RETURN(DurationExprPtr d, Duration(0));
    VEDETTE_RETURN_IF_ERROR(Expect(Tok::kRightParen, "duration expression", "\")\""));
    d->in_parens = true;
    d->pos = {start, last_end_};
    return d;
  }
  if ((IsWord("step") || IsWord("range")) && Is(Tok::kLeftParen, 1)) {
    const bool step = Take().text == "step";
    Take();
    VEDETTE_RETURN_IF_ERROR(Expect(Tok::kRightParen, "duration expression", "\")\""));
    return NewDuration(step ? DurationExpr::Kind::kStep : DurationExpr::Kind::kRange, start);
  }
  if ((IsWord("min_of") || IsWord("max_of")) && Is(Tok::kLeftParen, 1)) {
    const bool min = Take().text == "min_of";
    Take();
    VEDETTE_ASSIGN_OR_RETURN(DurationExprPtr a, Duration(0));
    VEDETTE_RETURN_IF_ERROR(Expect(Tok::kComma, "duration expression", "\",\""));
    VEDETTE_ASSIGN_OR_RETURN(DurationExprPtr b, Duration(0));
    VEDETTE_RETURN_IF_ERROR(Expect(Tok::kRightParen, "duration expression", "\")\""));
    auto d = NewDuration(min ? DurationExpr::Kind::kMinOf : DurationExpr::Kind::kMaxOf, start);
    d->lhs = std::move(a);
    d->rhs = std::move(b);
    return d;
  }
  return Unexpected("duration expression", "number, duration, step(), or range()");
}

Result<DurationExprPtr> Parser::OffsetDuration() {
  const int32_t start = Peek().pos.start;
  if (IsOp(BinaryOp::kSub) || IsOp(BinaryOp::kAdd)) {
    const bool negate = Take().op == BinaryOp::kSub;
    VEDETTE_ASSIGN_OR_RETURN(DurationExprPtr inner, DurationOperand());
    return Signed(negate, std::move(inner), start);
  }
  if (!Is(Tok::kNumber) && !Is(Tok::kDuration) && !Is(Tok::kLeftParen) && !IsWord("step") &&
      !IsWord("range") && !IsWord("min_of") && !IsWord("max_of")) {
    return Unexpected("offset", "number, duration, step(), or range()");
  }
  return DurationOperand();
}

}  // namespace vedette::promql
