#include "server/promql/parser/parser.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "common/base/strings.h"
#include "common/model/labels.h"
#include "server/promql/parser/function_table.h"
#include "server/promql/parser/lexer.h"

namespace vedette::promql {
namespace {

struct OpInfo {
  int precedence;
  bool right_associative;
};

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
constexpr int kUnaryPrecedence = 5;  // -a*b is (-a)*b, -a^b is -(a^b).

std::optional<AggregateOp> AggregateOf(std::string_view word) {
  for (int i = 0; i <= static_cast<int>(AggregateOp::kLimitRatio); ++i) {
    if (OpText(static_cast<AggregateOp>(i)) == word) return static_cast<AggregateOp>(i);
  }
  return std::nullopt;
}

// Keywords that may not name a metric.
bool MayNameMetric(std::string_view keyword) {
  return keyword != "bool" && keyword != "on" && keyword != "ignoring" && keyword != "group_left" &&
         keyword != "group_right" && keyword != "atan2";
}

class Parser {
 public:
  Parser(std::string_view text, const ParserOptions& options)
      : text_(text), options_(options), tokens_(Lex(text)) {}

  Result<ExprPtr> Whole() {
    if (Peek().kind == Tok::kEof) {
      return InvalidArgument("unknown position: parse error: no expression found in input");
    }
    VEDETTE_ASSIGN_OR_RETURN(ExprPtr e, Expression(0));
    if (Peek().kind != Tok::kEof) return Unexpected("");
    return e;
  }

  Result<std::vector<Matcher>> Selector() {
    VEDETTE_ASSIGN_OR_RETURN(ExprPtr e, Primary());
    if (Peek().kind != Tok::kEof) return Unexpected("");
    if (e->kind != Expr::Kind::kVectorSelector) {
      return Error(e->pos.start, "expected a metric selector");
    }
    return std::move(e->As<VectorSelector>().matchers);
  }

 private:
  const Token& Peek(size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  const Token& Take() {
    const Token& t = Peek();
    if (at_ + 1 < tokens_.size()) ++at_;
    last_end_ = t.pos.end;
    return t;
  }
  bool Is(Tok kind, size_t ahead = 0) const { return Peek(ahead).kind == kind; }
  bool IsWord(std::string_view word, size_t ahead = 0) const {
    return Is(Tok::kKeyword, ahead) && Peek(ahead).text == word;
  }
  bool IsOp(BinaryOp op) const { return Is(Tok::kOp) && Peek().op == op; }
  bool Accept(Tok kind) {
    if (!Is(kind)) return false;
    Take();
    return true;
  }

  Status Error(int32_t at, std::string_view reason) const {
    return ParseErrorAt(text_, at, reason);
  }
  Status Unexpected(std::string_view context, std::string_view expected = "") const {
    if (Is(Tok::kError)) return InvalidArgument(Peek().text);
    std::string reason = StrCat("unexpected ", Describe(Peek(), text_));
    if (!context.empty()) StrAppend(reason, " in ", context);
    if (!expected.empty()) StrAppend(reason, ", expected ", expected);
    return Error(Peek().pos.start, reason);
  }
  Status Expect(Tok kind, std::string_view context, std::string_view expected) {
    if (!Is(kind)) return Unexpected(context, expected);
    Take();
    return {};
  }

  // Every node passes through here on its way up.
  Status Grown(Expr& e, int32_t start) {
    e.pos = {start, last_end_};
    int32_t below = 0;
    for (const Expr* child : Children(e)) below = std::max(below, child->depth);
    e.depth = below + 1;
    if (e.depth > kMaxQueryDepth) return TooDeep(start, kMaxQueryDepth);
    return {};
  }
  Status TooDeep(int32_t at, int32_t limit) const {
    return Error(at, StrCat("expression is nested too deeply: the limit is ", limit, " levels"));
  }
  Status ExpectType(const Expr& e, ValueType want, std::string_view context) const {
    if (e.type == want) return {};
    return Error(e.pos.start, StrCat("expected type ", DocumentedType(want), " in ", context,
                                     ", got ", DocumentedType(e.type)));
  }

  // ---- Operators

  std::optional<BinaryOp> PeekBinaryOp() const {
    const Token& t = Peek();
    if (t.kind == Tok::kOp) return t.op;
    if (t.kind == Tok::kKeyword &&
        (t.text == "and" || t.text == "or" || t.text == "unless" || t.text == "atan2")) {
      return t.op;
    }
    return std::nullopt;
  }

  Result<ExprPtr> Expression(int min_precedence) {
    if (++nesting_ > kMaxQueryNesting) return TooDeep(Peek().pos.start, kMaxQueryNesting);
    Result<ExprPtr> e = ExpressionInside(min_precedence);
    --nesting_;
    return e;
  }

  Result<ExprPtr> ExpressionInside(int min_precedence) {
    VEDETTE_ASSIGN_OR_RETURN(ExprPtr lhs, Unary());
    while (const std::optional<BinaryOp> op = PeekBinaryOp()) {
      const OpInfo info = InfoOf(*op);
      if (info.precedence < min_precedence) break;
      auto node = std::make_unique<BinaryExpr>();
      const int32_t op_at = Take().pos.start;
      node->op = *op;
      VEDETTE_RETURN_IF_ERROR(BinaryModifiers(*node));
      VEDETTE_ASSIGN_OR_RETURN(
          node->rhs, Expression(info.right_associative ? info.precedence : info.precedence + 1));
      node->lhs = std::move(lhs);
      VEDETTE_RETURN_IF_ERROR(Grown(*node, node->lhs->pos.start));
      VEDETTE_RETURN_IF_ERROR(CheckBinary(*node, op_at));
      lhs = std::move(node);
    }
    return lhs;
  }

  Status BinaryModifiers(BinaryExpr& node) {
    VectorMatching& m = node.matching;
    if (IsSetOp(node.op)) m.card = VectorMatching::Card::kManyToMany;
    if (IsWord("bool")) {
      const int32_t at = Take().pos.start;
      if (!IsComparison(node.op)) {
        return Error(at, "bool modifier can only be used on comparison operators");
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
          return Error(word.pos.start,
                       StrCat("no grouping allowed for ", Quoted(OpText(node.op)), " operation"));
        }
        m.card = word.text == "group_left" ? VectorMatching::Card::kManyToOne
                                           : VectorMatching::Card::kOneToMany;
        if (Is(Tok::kLeftParen)) {
          const int32_t at = Peek().pos.start;
          VEDETTE_ASSIGN_OR_RETURN(m.include, GroupingLabels());
          for (const std::string& label : m.include) {
            if (m.on && std::ranges::find(m.labels, label) != m.labels.end()) {
              return Error(at, StrCat("label ", Quoted(label),
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

  double SignOf() {
    double sign = 1;
    if (IsOp(BinaryOp::kSub)) {
      sign = -1;
      Take();
    } else if (IsOp(BinaryOp::kAdd)) {
      Take();
    }
    return sign;
  }

  Status CheckBinary(BinaryExpr& node, int32_t op_at) {
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
    node.type = l == ValueType::kScalar && r == ValueType::kScalar ? ValueType::kScalar
                                                                   : ValueType::kVector;
    return {};
  }

  Result<ExprPtr> Unary() {
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

  // ---- What follows an operand

  Result<ExprPtr> Postfix() {
    VEDETTE_ASSIGN_OR_RETURN(ExprPtr e, Primary());
    while (true) {
      if (Is(Tok::kLeftBracket)) {
        VEDETTE_ASSIGN_OR_RETURN(e, Brackets(std::move(e)));
      } else if (IsWord("offset")) {
        VEDETTE_RETURN_IF_ERROR(Offset(*e));
      } else if (Is(Tok::kAt)) {
        VEDETTE_RETURN_IF_ERROR(At(*e));
      } else if (IsWord("anchored") || IsWord("smoothed")) {
        VEDETTE_RETURN_IF_ERROR(Extended(*e));
      } else {
        return e;
      }
    }
  }

  Result<ExprPtr> Brackets(ExprPtr e) {
    const int32_t bracket = Take().pos.start;
    VEDETTE_ASSIGN_OR_RETURN(DurationExprPtr range, Duration(0));
    VEDETTE_RETURN_IF_ERROR(CheckPositive(*range));
    if (Is(Tok::kColon)) {
      Take();
      auto node = std::make_unique<SubqueryExpr>();
      if (!Is(Tok::kRightBracket)) {
        VEDETTE_ASSIGN_OR_RETURN(node->step, Duration(0));
        VEDETTE_RETURN_IF_ERROR(CheckPositive(*node->step));
      }
      VEDETTE_RETURN_IF_ERROR(Expect(Tok::kRightBracket, "subquery selector", "\"]\""));
      if (e->type != ValueType::kVector) {
        return Error(e->pos.start, StrCat("subquery is only allowed on instant vector, got ",
                                          TypeName(e->type), " instead"));
      }
      node->range = std::move(range);
      const int32_t start = e->pos.start;
      node->expr = std::move(e);
      VEDETTE_RETURN_IF_ERROR(Grown(*node, start));
      return ExprPtr(std::move(node));
    }
    VEDETTE_RETURN_IF_ERROR(
        Expect(Tok::kRightBracket, "subquery or range selector", "\":\" or \"]\""));
    if (e->kind != Expr::Kind::kVectorSelector) {
      return Error(bracket, "ranges only allowed for vector selectors");
    }
    auto& selector = e->As<VectorSelector>();
    if (selector.shift.offset) return Error(bracket, "no offset modifiers allowed before range");
    if (selector.shift.at != TimeShift::At::kNone) {
      return Error(bracket, "no @ modifiers allowed before range");
    }
    if (selector.anchored || selector.smoothed) {
      return Error(bracket, "no anchored or smoothed modifiers allowed before range");
    }
    auto node = std::make_unique<MatrixSelector>();
    node->range = std::move(range);
    const int32_t start = e->pos.start;
    node->selector.reset(static_cast<VectorSelector*>(e.release()));
    VEDETTE_RETURN_IF_ERROR(Grown(*node, start));
    return ExprPtr(std::move(node));
  }

  TimeShift* ShiftOf(Expr& e) {
    switch (e.kind) {
      case Expr::Kind::kVectorSelector:
        return &e.As<VectorSelector>().shift;
      case Expr::Kind::kMatrixSelector:
        return &e.As<MatrixSelector>().selector->shift;
      case Expr::Kind::kSubquery:
        return &e.As<SubqueryExpr>().shift;
      default:
        return nullptr;
    }
  }

  Status Offset(Expr& e) {
    Take();
    VEDETTE_ASSIGN_OR_RETURN(DurationExprPtr offset, OffsetDuration());
    TimeShift* shift = ShiftOf(e);
    if (shift == nullptr) {
      return Error(e.pos.start,
                   "offset modifier must be preceded by an instant vector selector or range vector "
                   "selector or a subquery");
    }
    if (shift->offset) return Error(e.pos.start, "offset may not be set multiple times");
    shift->offset = std::move(offset);
    e.pos.end = last_end_;
    return {};
  }

  Status At(Expr& e) {
    const int32_t at = Take().pos.start;
    TimeShift parsed;
    if ((IsWord("start") || IsWord("end")) && Is(Tok::kLeftParen, 1)) {
      parsed.at = Take().text == "start" ? TimeShift::At::kStart : TimeShift::At::kEnd;
      Take();
      VEDETTE_RETURN_IF_ERROR(Expect(Tok::kRightParen, "@ modifier", "\")\""));
    } else {
      const double sign = SignOf();
      if (!Is(Tok::kNumber) && !Is(Tok::kDuration)) return Unexpected("@", "timestamp");
      const double seconds = sign * Take().number;
      if (!std::isfinite(seconds) || std::fabs(seconds) >= 9.2e15) {
        return Error(at, StrCat("timestamp out of bounds for @ modifier: ", seconds));
      }
      parsed.at = TimeShift::At::kTimestamp;
      parsed.at_ms = static_cast<int64_t>(std::round(seconds * 1000));
    }
    TimeShift* shift = ShiftOf(e);
    if (shift == nullptr) {
      return Error(e.pos.start,
                   "@ modifier must be preceded by an instant vector selector or range vector "
                   "selector or a subquery");
    }
    if (shift->at != TimeShift::At::kNone) {
      return Error(e.pos.start, "@ <timestamp> may not be set multiple times");
    }
    shift->at = parsed.at;
    shift->at_ms = parsed.at_ms;
    e.pos.end = last_end_;
    return {};
  }

  Status Extended(Expr& e) {
    const Token word = Take();
    if (!options_.extended_range_selectors) {
      return Error(word.pos.start, StrCat(word.text, " modifier is experimental and not enabled"));
    }
    VectorSelector* v = nullptr;
    if (e.kind == Expr::Kind::kVectorSelector) v = &e.As<VectorSelector>();
    if (e.kind == Expr::Kind::kMatrixSelector) v = e.As<MatrixSelector>().selector.get();
    if (v == nullptr) {
      return Error(e.pos.start, StrCat(word.text, " modifier not implemented"));
    }
    if (v->anchored || v->smoothed) {
      return Error(e.pos.start, "anchored and smoothed modifiers cannot be used together");
    }
    (word.text == "anchored" ? v->anchored : v->smoothed) = true;
    e.pos.end = last_end_;
    return {};
  }

  // ---- Durations

  // A literal of nothing or less is wrong before anything runs.
  Status CheckPositive(const DurationExpr& d) const {
    if (d.kind == DurationExpr::Kind::kLiteral && !(d.seconds > 0)) {
      return Error(d.pos.start, "duration must be greater than 0");
    }
    if (d.kind == DurationExpr::Kind::kLiteral && d.seconds > 9.2e9 * 1000) {
      return Error(d.pos.start, "duration out of range");
    }
    return {};
  }

  DurationExprPtr NewDuration(DurationExpr::Kind kind, int32_t start) {
    auto d = std::make_unique<DurationExpr>();
    d->kind = kind;
    d->pos = {start, last_end_};
    return d;
  }

  Result<DurationExprPtr> Duration(int min_precedence) {
    if (++nesting_ > kMaxQueryNesting) return TooDeep(Peek().pos.start, kMaxQueryNesting);
    Result<DurationExprPtr> d = DurationInside(min_precedence);
    --nesting_;
    return d;
  }

  Result<DurationExprPtr> DurationInside(int min_precedence) {
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
      if (++length > kMaxQueryDepth) return TooDeep(start, kMaxQueryDepth);
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

  DurationExprPtr Signed(bool negate, DurationExprPtr inner, int32_t start) {
    if (inner->kind == DurationExpr::Kind::kLiteral && !inner->in_parens) {
      if (negate) inner->seconds = -inner->seconds;
      inner->pos.start = start;
      return inner;
    }
    auto node =
        NewDuration(negate ? DurationExpr::Kind::kNegate : DurationExpr::Kind::kPlus, start);
    node->lhs = std::move(inner);
    return node;
  }

  Result<DurationExprPtr> DurationOperand() {
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

  // After `offset` an operand, at most with a sign: arithmetic needs parentheses there.
  Result<DurationExprPtr> OffsetDuration() {
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

  // ---- Operands

  Result<ExprPtr> Primary() {
    const Token& t = Peek();
    switch (t.kind) {
      case Tok::kNumber:
      case Tok::kDuration: {
        auto n = std::make_unique<NumberLiteral>();
        n->value = t.number;
        n->is_duration_text = t.kind == Tok::kDuration;
        const int32_t start = Take().pos.start;
        VEDETTE_RETURN_IF_ERROR(Grown(*n, start));
        return ExprPtr(std::move(n));
      }
      case Tok::kString: {
        auto s = std::make_unique<StringLiteral>();
        s->value = t.text;
        const int32_t start = Take().pos.start;
        VEDETTE_RETURN_IF_ERROR(Grown(*s, start));
        return ExprPtr(std::move(s));
      }
      case Tok::kLeftParen: {
        const int32_t start = Take().pos.start;
        auto p = std::make_unique<ParenExpr>();
        VEDETTE_ASSIGN_OR_RETURN(p->expr, Expression(0));
        VEDETTE_RETURN_IF_ERROR(Expect(Tok::kRightParen, "paren expression", "\")\""));
        p->type = p->expr->type;
        VEDETTE_RETURN_IF_ERROR(Grown(*p, start));
        return ExprPtr(std::move(p));
      }
      case Tok::kLeftBrace:
        return SelectorAfterName("", t.pos.start);
      case Tok::kMetricIdentifier: {
        const Token name = Take();
        return SelectorAfterName(name.text, name.pos.start);
      }
      case Tok::kIdentifier:
        if (Is(Tok::kLeftParen, 1)) return FunctionCall();
        {
          const Token name = Take();
          return SelectorAfterName(name.text, name.pos.start);
        }
      case Tok::kKeyword:
        return AfterKeyword();
      default:
        return Unexpected("");
    }
  }

  Result<ExprPtr> AfterKeyword() {
    const Token& word = Peek();
    if (const std::optional<AggregateOp> op = AggregateOf(word.text)) {
      if (Is(Tok::kLeftParen, 1) || IsWord("by", 1) || IsWord("without", 1)) {
        return Aggregation(*op);
      }
    } else if (Is(Tok::kLeftParen, 1) &&
               (word.text == "start" || word.text == "end" || word.text == "step" ||
                word.text == "range" || word.text == "min_of" || word.text == "max_of")) {
      return FunctionCall();
    }
    if (!MayNameMetric(word.text)) return Unexpected("");
    // A name keeps the case it was written in.
    const Token name = Take();
    return SelectorAfterName(
        std::string(text_.substr(static_cast<size_t>(name.pos.start),
                                 static_cast<size_t>(name.pos.end - name.pos.start))),
        name.pos.start);
  }

  Result<std::vector<std::string>> GroupingLabels() {
    std::vector<std::string> labels;
    VEDETTE_RETURN_IF_ERROR(Expect(Tok::kLeftParen, "grouping opts", "\"(\""));
    while (!Is(Tok::kRightParen)) {
      const Token& t = Peek();
      if (t.kind == Tok::kIdentifier || t.kind == Tok::kKeyword) {
        labels.emplace_back(text_.substr(static_cast<size_t>(t.pos.start),
                                         static_cast<size_t>(t.pos.end - t.pos.start)));
      } else if (t.kind == Tok::kString) {
        if (t.text.empty() || !IsValidUtf8(t.text)) {
          return Error(t.pos.start, StrCat("invalid label name for grouping: ", Quoted(t.text)));
        }
        labels.push_back(t.text);
      } else if (t.kind == Tok::kMetricIdentifier) {
        return Error(t.pos.start, StrCat("invalid label name for grouping: ", Quoted(t.text)));
      } else {
        return Unexpected("grouping opts", "label");
      }
      Take();
      if (!Is(Tok::kRightParen)) {
        VEDETTE_RETURN_IF_ERROR(Expect(Tok::kComma, "grouping opts", "\",\" or \")\""));
      }
    }
    Take();
    return labels;
  }

  Result<std::vector<ExprPtr>> Arguments(std::string_view context) {
    std::vector<ExprPtr> args;
    Take();  // The left parenthesis.
    while (!Is(Tok::kRightParen)) {
      VEDETTE_ASSIGN_OR_RETURN(ExprPtr arg, Expression(0));
      args.push_back(std::move(arg));
      if (Is(Tok::kComma)) {
        const int32_t comma = Take().pos.start;
        if (Is(Tok::kRightParen)) {
          return Error(comma, "trailing commas not allowed in function call args");
        }
      } else if (!Is(Tok::kRightParen)) {
        return Unexpected(context, "\",\" or \")\"");
      }
    }
    Take();
    return args;
  }

  Result<ExprPtr> Aggregation(AggregateOp op) {
    const Token word = Take();
    auto node = std::make_unique<AggregateExpr>();
    node->op = op;
    auto grouping = [&]() -> Status {
      node->without = Take().text == "without";
      node->has_grouping = true;
      VEDETTE_ASSIGN_OR_RETURN(node->grouping, GroupingLabels());
      return {};
    };
    if (IsWord("by") || IsWord("without")) {
      VEDETTE_RETURN_IF_ERROR(grouping());
    }
    if (!Is(Tok::kLeftParen)) return Unexpected("aggregation", "\"(\"");
    VEDETTE_ASSIGN_OR_RETURN(std::vector<ExprPtr> args, Arguments("aggregation"));
    if (!node->has_grouping && (IsWord("by") || IsWord("without"))) {
      VEDETTE_RETURN_IF_ERROR(grouping());
    }
    if ((op == AggregateOp::kLimitk || op == AggregateOp::kLimitRatio) &&
        !options_.experimental_functions) {
      return Error(word.pos.start, StrCat(word.text,
                                          "() is experimental and must be enabled with "
                                          "--enable-feature=promql-experimental-functions"));
    }
    if (args.empty()) {
      return Error(word.pos.start, "no arguments for aggregate expression provided");
    }
    const size_t want = TakesParameter(op) ? 2 : 1;
    if (args.size() != want) {
      return Error(word.pos.start,
                   StrCat("wrong number of arguments for aggregate expression provided, expected ",
                          want, ", got ", args.size()));
    }
    if (want == 2) node->param = std::move(args[0]);
    node->expr = std::move(args[want - 1]);
    VEDETTE_RETURN_IF_ERROR(Grown(*node, word.pos.start));
    VEDETTE_RETURN_IF_ERROR(ExpectType(*node->expr, ValueType::kVector, "aggregation expression"));
    if (node->param) {
      VEDETTE_RETURN_IF_ERROR(ExpectType(
          *node->param, op == AggregateOp::kCountValues ? ValueType::kString : ValueType::kScalar,
          "aggregation parameter"));
    }
    return ExprPtr(std::move(node));
  }

  Result<ExprPtr> FunctionCall() {
    const Token name = Take();
    const FunctionInfo* f = FindFunction(name.text);
    if (f == nullptr) {
      return Error(name.pos.start, StrCat("unknown function with name ", Quoted(name.text)));
    }
    if (f->experimental && !options_.experimental_functions) {
      return Error(name.pos.start, StrCat("function ", Quoted(name.text), " is not enabled"));
    }
    auto node = std::make_unique<Call>();
    node->function = f;
    node->type = f->returns;
    VEDETTE_ASSIGN_OR_RETURN(node->args, Arguments("function call"));
    VEDETTE_RETURN_IF_ERROR(Grown(*node, name.pos.start));
    const size_t got = node->args.size();
    const size_t all = f->args.size();
    auto wrong = [&](std::string_view how, size_t want) {
      return Error(node->pos.start, StrCat("expected ", how, want, " argument(s) in call to ",
                                           Quoted(name.text), ", got ", got));
    };
    if (f->optional == 0) {
      if (got != all) return wrong("", all);
    } else {
      const size_t least =
          f->optional < 0 || f->max_repeated > 0 ? all - 1 : all - static_cast<size_t>(f->optional);
      if (got < least) return wrong("at least ", least);
      const size_t most = f->optional < 0       ? SIZE_MAX
                          : f->max_repeated > 0 ? all - 1 + static_cast<size_t>(f->max_repeated) + 0
                                                : all;
      if (got > most) return wrong("at most ", most);
    }
    for (size_t i = 0; i < got; ++i) {
      VEDETTE_RETURN_IF_ERROR(ExpectType(*node->args[i], f->args[std::min(i, all - 1)],
                                         StrCat("call to function ", Quoted(name.text))));
    }
    if (f->id == FunctionId::kInfo && got > 1 &&
        WithoutParens(*node->args[1]).kind != Expr::Kind::kVectorSelector) {
      return Error(node->args[1]->pos.start, "expected label selectors only");
    }
    return ExprPtr(std::move(node));
  }

  Result<ExprPtr> SelectorAfterName(std::string name, int32_t start) {
    auto node = std::make_unique<VectorSelector>();
    node->name = std::move(name);
    if (Is(Tok::kLeftBrace)) {
      VEDETTE_RETURN_IF_ERROR(Matchers(*node));
    }
    if (!node->name.empty()) {
      for (const Matcher& m : node->matchers) {
        if (m.name() == kMetricNameLabel) {
          return Error(start, StrCat("metric name must not be set twice: ", Quoted(node->name),
                                     " or ", Quoted(m.value())));
        }
      }
      node->matchers.push_back(Matcher::Equal(kMetricNameLabel, node->name));
    }
    VEDETTE_RETURN_IF_ERROR(Grown(*node, start));
    const bool selects =
        std::ranges::any_of(node->matchers, [](const Matcher& m) { return !m.MatchesEmpty(); });
    if (!selects && !InfoArgument()) {
      return Error(start, "vector selector must contain at least one non-empty matcher");
    }
    return ExprPtr(std::move(node));
  }

  // The second argument of info() filters labels, so it may match what is empty.
  bool InfoArgument() const {
    int depth = 0;
    int commas = 0;
    for (size_t i = at_; i-- > 0;) {
      const Token& t = tokens_[i];
      if (t.kind == Tok::kRightParen || t.kind == Tok::kRightBrace) ++depth;
      if (t.kind == Tok::kLeftBrace) --depth;
      if (t.kind == Tok::kComma && depth == 0) ++commas;
      if (t.kind == Tok::kLeftParen) {
        if (depth == 0) {
          return commas == 1 && i > 0 && tokens_[i - 1].kind == Tok::kIdentifier &&
                 tokens_[i - 1].text == "info";
        }
        --depth;
      }
    }
    return false;
  }

  Status Matchers(VectorSelector& node) {
    Take();  // The left brace.
    while (!Is(Tok::kRightBrace)) {
      const Token& t = Peek();
      if (t.kind != Tok::kIdentifier && t.kind != Tok::kString) {
        return Unexpected("label matching", "identifier or \"}\"");
      }
      const Token name = Take();
      const bool alone = Is(Tok::kComma) || Is(Tok::kRightBrace);
      if (name.kind == Tok::kString && alone) {
        if (!node.name.empty()) {
          return Error(name.pos.start, StrCat("metric name must not be set twice: ",
                                              Quoted(node.name), " or ", Quoted(name.text)));
        }
        if (name.text.empty() || !IsValidUtf8(name.text)) {
          return Error(name.pos.start, StrCat("invalid metric name: ", Quoted(name.text)));
        }
        node.name = name.text;
      } else {
        Matcher::Op op;
        if (Is(Tok::kAssign)) {
          op = Matcher::Op::kEqual;
        } else if (IsOp(BinaryOp::kNotEqual)) {
          op = Matcher::Op::kNotEqual;
        } else if (Is(Tok::kMatchRegex)) {
          op = Matcher::Op::kRegex;
        } else if (Is(Tok::kMatchNotRegex)) {
          op = Matcher::Op::kNotRegex;
        } else {
          return Unexpected("label matching", "label matching operator");
        }
        Take();
        if (!Is(Tok::kString)) return Unexpected("label matching", "string");
        const Token value = Take();
        Result<Matcher> m = Matcher::Make(op, name.text, value.text);
        if (!m.ok()) return Error(name.pos.start, m.status().message());
        node.matchers.push_back(*std::move(m));
      }
      if (!Is(Tok::kRightBrace)) {
        VEDETTE_RETURN_IF_ERROR(Expect(Tok::kComma, "label matching", "\",\" or \"}\""));
      }
    }
    Take();
    return {};
  }

  const std::string_view text_;
  const ParserOptions options_;
  const std::vector<Token> tokens_;
  size_t at_ = 0;
  int32_t last_end_ = 0;
  int32_t nesting_ = 0;
};

void Collect(const Expr& e, std::vector<const VectorSelector*>& out) {
  if (e.kind == Expr::Kind::kVectorSelector) out.push_back(&e.As<VectorSelector>());
  for (const Expr* child : Children(e)) Collect(*child, out);
}

}  // namespace

Result<ExprPtr> ParseExpr(std::string_view text, const ParserOptions& options) {
  if (text.size() > kMaxQueryBytes) {
    return InvalidArgument(
        StrCat("query of ", text.size(), " bytes is too long: the limit is ", kMaxQueryBytes));
  }
  return Parser(text, options).Whole();
}

Result<std::vector<Matcher>> ParseMetricSelector(std::string_view text) {
  if (text.size() > kMaxQueryBytes) {
    return InvalidArgument(
        StrCat("selector of ", text.size(), " bytes is too long: the limit is ", kMaxQueryBytes));
  }
  return Parser(text, {}).Selector();
}

std::vector<const VectorSelector*> Selectors(const Expr& expr) {
  std::vector<const VectorSelector*> out;
  Collect(expr, out);
  return out;
}

}  // namespace vedette::promql
