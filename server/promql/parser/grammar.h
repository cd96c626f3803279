#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/model/matcher.h"
#include "server/promql/parser/ast.h"
#include "server/promql/parser/lexer.h"
#include "server/promql/parser/parser.h"

namespace vedette::promql {

// How tightly an operator binds.
struct OpInfo {
  int precedence;
  bool right_associative;
};
OpInfo InfoOf(BinaryOp op);
inline constexpr int kUnaryPrecedence = 5;  // -a*b is (-a)*b, -a^b is -(a^b).

// Parser is recursive descent over the tokens of one text: a method for each rule of the grammar,
// each of which takes the tokens of what it reads and leaves those that follow. Seen by parser.cc
// and the parse_*.cc beside it alone, one for each of the sections below. One text; one thread.
class Parser {
 public:
  Parser(std::string_view text, const ParserOptions& options)
      : text_(text), options_(options), tokens_(Lex(text)) {}

  // The whole text as an expression, or as one vector selector.
  Result<ExprPtr> Whole();
  Result<std::vector<Matcher>> Selector();

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
  Status Unexpected(std::string_view context, std::string_view expected = "") const;
  Status Expect(Tok kind, std::string_view context, std::string_view expected);

  // Every node passes through here on its way up.
  Status Grown(Expr& e, int32_t start);
  Status TooDeep(int32_t at, int32_t limit) const;
  Status ExpectType(const Expr& e, ValueType want, std::string_view context) const;

  // ---- Operators (parse_operators.cc)

  std::optional<BinaryOp> PeekBinaryOp() const;
  Result<ExprPtr> Expression(int min_precedence);
  Result<ExprPtr> ExpressionInside(int min_precedence);
  // `op_at`: where the operator is; `start`: where its left side begins.
  Status BinaryModifiers(BinaryExpr& node, int32_t op_at, int32_t start);
  double SignOf();
  Status CheckBinary(BinaryExpr& node, int32_t op_at);
  Result<ExprPtr> Unary();

  // ---- What follows an operand (parse_modifiers.cc)

  Result<ExprPtr> Postfix();
  Result<ExprPtr> Brackets(ExprPtr e);
  TimeShift* ShiftOf(Expr& e);
  Status Offset(Expr& e);
  Status At(Expr& e);
  Status Extended(Expr& e);

  // ---- Durations (parse_durations.cc)

  // A literal of nothing or less is wrong before anything runs.
  Status CheckPositive(const DurationExpr& d) const;
  DurationExprPtr NewDuration(DurationExpr::Kind kind, int32_t start);
  Result<DurationExprPtr> Duration(int min_precedence);
  Result<DurationExprPtr> DurationInside(int min_precedence);
  DurationExprPtr Signed(bool negate, DurationExprPtr inner, int32_t start);
  Result<DurationExprPtr> DurationOperand();
  // After `offset` an operand, at most with a sign: arithmetic needs parentheses there.
  Result<DurationExprPtr> OffsetDuration();

  // ---- Operands (parse_operands.cc)

  Result<ExprPtr> Primary();
  Result<ExprPtr> AfterKeyword();
  Result<std::vector<std::string>> GroupingLabels();
  Result<std::vector<ExprPtr>> Arguments(std::string_view context);
  Result<ExprPtr> Aggregation(AggregateOp op);
  Result<ExprPtr> FunctionCall();

  // ---- Selectors (parse_selectors.cc)

  Result<ExprPtr> SelectorAfterName(std::string name, int32_t start);
  // The second argument of info() filters labels, so it may match what is empty.
  bool InfoArgument() const;
  Status Matchers(VectorSelector& node);

  const std::string_view text_;
  const ParserOptions options_;
  const std::vector<Token> tokens_;
  size_t at_ = 0;
  int32_t last_end_ = 0;
  int32_t nesting_ = 0;
};

}  // namespace vedette::promql
