#include "server/promql/parser/grammar.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace vedette::promql {

OpInfo InfoOf(BinaryOp op) {
  switch (op) {
    case BinaryOp::kOr:
      return {1, false};
    case BinaryOp::kAnd:
    case BinaryOp::kUnless:
      return {2, false};
    case BinaryOp::kEqual:
    case BinaryOp::kNotEqual:
    case BinaryOp::kGreater:
    case BinaryOp::kLess:
    case BinaryOp::kGreaterEqual:
    case BinaryOp::kLessEqual:
    case BinaryOp::kTrimUpper:
    case BinaryOp::kTrimLower:
      return {3, false};
    case BinaryOp::kAdd:
    case BinaryOp::kSub:
      return {4, false};
    case BinaryOp::kMul:
    case BinaryOp::kDiv:
    case BinaryOp::kMod:
    case BinaryOp::kAtan2:
      return {5, false};
    case BinaryOp::kPow:
      return {6, true};
  }
  return {0, false};
}

std::optional<BinaryOp> Parser::PeekBinaryOp() const {
  const Token& t = Peek();
  if (t.kind == Tok::kOp) return t.op;
  if (t.kind == Tok::kKeyword &&
      (t.text == "and" || t.text == "or" || t.text == "unless" || t.text == "atan2")) {
    return t.op;
  }
  return std::nullopt;
}

Result<ExprPtr> Parser::Expression(int min_precedence) {
  if (++nesting_ > options_.max_nesting()) {
    return TooDeep(Peek().pos.start, options_.max_nesting());
  }
  Result<ExprPtr> e = ExpressionInside(min_precedence);
  --nesting_;
  return e;
}

Result<ExprPtr> Parser::ExpressionInside(int min_precedence) {
  VEDETTE_ASSIGN_OR_RETURN(ExprPtr lhs, Unary());
  while (const std::optional<BinaryOp> op = PeekBinaryOp()) {
    const OpInfo info = InfoOf(*op);
    if (info.precedence < min_precedence) break;
    auto node = std::make_unique<BinaryExpr>();
    const int32_t op_at = Take().pos.start;
    node->op = *op;
    VEDETTE_RETURN_IF_ERROR(BinaryModifiers(*node, op_at, lhs->pos.start));
    VEDETTE_ASSIGN_OR_RETURN(
        node->rhs, Expression(info.right_associative ? info.precedence : info.precedence + 1));
    node->lhs = std::move(lhs);
    VEDETTE_RETURN_IF_ERROR(Grown(*node, node->lhs->pos.start));
    VEDETTE_RETURN_IF_ERROR(CheckBinary(*node, op_at));
    lhs = std::move(node);
  }
  return lhs;
}

Status Parser::BinaryModifiers(BinaryExpr& node, int32_t op_at, int32_t start) {
  VectorMatching& m = node.matching;
  if (IsSetOp(node.op)) m.card = VectorMatching::Card::kManyToMany;
  if (IsWord("bool")) {
    Take();
    if (!IsComparison(node.op)) {
      return Error(op_at, "bool modifier can only be used on comparison operators");
    }
    node.return_bool = true;
  }
  if (IsWord("on") || IsWord("ignoring")) {
    m.on = Take().text == "on";
    m.given = true;
    VEDETTE_ASSIGN_OR_RETURN(m.labels, GroupingLabels());
    if (IsWord("group_left") || IsWord("group_right")) {
      const Token& word = Take();
      if (IsSetOp(node.op)) {
        return Error(start,
                     StrCat("no grouping allowed for ", Quoted(OpText(node.op)), " operation"));
      }
      m.card = word.text == "group_left" ? VectorMatching::Card::kManyToOne
                                         : VectorMatching::Card::kOneToMany;
      if (Is(Tok::kLeftParen)) {
        VEDETTE_ASSIGN_OR_RETURN(m.include, GroupingLabels());
        for (const std::string& label : m.include) {
          if (m.on && std::ranges::find(m.labels, label) != m.labels.end()) {
            return Error(op_at, StrCat("label ", Quoted(label),
                                       " must not occur in ON and GROUP clause at once"));
          }
        }
      }
    }
  }
  while ((IsWord("fill") || IsWord("fill_left") || IsWord("fill_right")) &&
         Is(Tok::kLeftParen, 1)) {
    const Token word = Take();
    if (!options_.binop_fill_modifiers) {
      return Error(word.pos.start, "binop fill modifiers are experimental and not enabled");
    }
    if (IsSetOp(node.op)) {
      return Error(word.pos.start, StrCat("filling in missing series not allowed for ",
                                          Quoted(OpText(node.op)), " operation"));
    }
    Take();
    const double sign = SignOf();
    if (!Is(Tok::kNumber) && !Is(Tok::kDuration)) return Unexpected("fill modifier", "number");
    const double v = sign * Take().number;
    VEDETTE_RETURN_IF_ERROR(Expect(Tok::kRightParen, "fill modifier", "\")\""));
    if (word.text != "fill_right") {
      if (m.fill_left) return Error(word.pos.start, "fill may not be set multiple times");
      m.fill_left = v;
    }
    if (word.text != "fill_left") {
      if (m.fill_right) return Error(word.pos.start, "fill may not be set multiple times");
      m.fill_right = v;
    }
  }
  return {};
}

double Parser::SignOf() {
  double sign = 1;
  if (IsOp(BinaryOp::kSub)) {
    sign = -1;
    Take();
  } else if (IsOp(BinaryOp::kAdd)) {
    Take();
  }
  return sign;
}

Status Parser::CheckBinary(BinaryExpr& node, int32_t op_at) {
  const ValueType l = node.lhs->type;
  const ValueType r = node.rhs->type;
  auto plain = [](ValueType t) { return t == ValueType::kScalar || t == ValueType::kVector; };
  if (!plain(l)) {
    return Error(node.lhs->pos.start,
                 "binary expression must contain only scalar and instant vector types");
  }
  if (!plain(r)) {
    return Error(node.rhs->pos.start,
                 "binary expression must contain only scalar and instant vector types");
  }
  const bool both_vectors = l == ValueType::kVector && r == ValueType::kVector;
  if (IsComparison(node.op) && !node.return_bool && l == ValueType::kScalar &&
      r == ValueType::kScalar) {
    return Error(op_at, "comparisons between scalars must use BOOL modifier");
  }
  if (!both_vectors) {
    if (node.matching.given) {
      return Error(node.pos.start, "vector matching only allowed between instant vectors");
    }
    if (node.matching.fill_left || node.matching.fill_right) {
      return Error(node.pos.start,
                   "filling in missing series only allowed between instant vectors");
    }
    if (IsSetOp(node.op)) {
      return Error(node.pos.start, StrCat("set operator ", Quoted(OpText(node.op)),
                                          " not allowed in binary scalar expression"));
    }
  }
  node.type =
      l == ValueType::kScalar && r == ValueType::kScalar ? ValueType::kScalar : ValueType::kVector;
  return {};
}

Result<ExprPtr> Parser::Unary() {
  if (!IsOp(BinaryOp::kAdd) && !IsOp(BinaryOp::kSub)) return Postfix();
  const Token sign = Take();
  const bool negate = sign.op == BinaryOp::kSub;
  // What binds tighter than the sign is read with it.
  VEDETTE_ASSIGN_OR_RETURN(ExprPtr inner, Expression(kUnaryPrecedence + 1));
  if (inner->kind == Expr::Kind::kNumber) {
    auto& n = inner->As<NumberLiteral>();
    if (negate) n.value = -n.value;
    n.pos.start = sign.pos.start;
    return inner;
  }
  if (inner->type != ValueType::kScalar && inner->type != ValueType::kVector) {
    return Error(sign.pos.start,
                 StrCat("unary expression only allowed on expressions of type scalar or instant "
                        "vector, got ",
                        Quoted(DocumentedType(inner->type))));
  }
  auto node = std::make_unique<UnaryExpr>();
  node->negate = negate;
  node->type = inner->type;
  node->expr = std::move(inner);
  VEDETTE_RETURN_IF_ERROR(Grown(*node, sign.pos.start));
  return ExprPtr(std::move(node));
}

}  // namespace vedette::promql
