#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/model/matcher.h"

namespace vedette::promql {

enum class ValueType : uint8_t { kNone, kScalar, kVector, kMatrix, kString };

// "scalar", "instant vector", "range vector", "string": as error texts say it.
std::string_view DocumentedType(ValueType type);
// "scalar", "vector", "matrix", "string": as the HTTP API says it.
std::string_view TypeName(ValueType type);

// Bytes [start, end) of the query text.
struct PosRange {
  int32_t start = 0;
  int32_t end = 0;
};

enum class BinaryOp : uint8_t {
  kAdd,
  kSub,
  kMul,
  kDiv,
  kMod,
  kPow,
  kAtan2,
  kEqual,
  kNotEqual,
  kGreater,
  kLess,
  kGreaterEqual,
  kLessEqual,
  kTrimUpper,  // </ : what is below stays
  kTrimLower,  // >/ : what is above stays
  kAnd,
  kOr,
  kUnless,
};
std::string_view OpText(BinaryOp op);
bool IsComparison(BinaryOp op);
bool IsSetOp(BinaryOp op);

enum class AggregateOp : uint8_t {
  kSum,
  kAvg,
  kCount,
  kMin,
  kMax,
  kGroup,
  kStddev,
  kStdvar,
  kTopk,
  kBottomk,
  kCountValues,
  kQuantile,
  kLimitk,
  kLimitRatio,
};
std::string_view OpText(AggregateOp op);
bool TakesParameter(AggregateOp op);

// What stands inside [..] or after `offset`: a number of seconds, or arithmetic over such numbers
// and the query's own step and range.
struct DurationExpr {
  enum class Kind : uint8_t { kLiteral, kStep, kRange, kMinOf, kMaxOf, kNegate, kPlus, kBinary };
  Kind kind = Kind::kLiteral;
  PosRange pos;
  double seconds = 0;             // kLiteral
  bool is_duration_text = false;  // kLiteral: written as 5m, not as 300
  bool in_parens = false;
  BinaryOp op = BinaryOp::kAdd;  // kBinary
  std::unique_ptr<DurationExpr> lhs;
  std::unique_ptr<DurationExpr> rhs;
};
using DurationExprPtr = std::unique_ptr<DurationExpr>;

// The base of all nodes. `kind` tells which struct it is; As<T>() casts.
struct Expr {
  enum class Kind : uint8_t {
    kNumber,
    kString,
    kVectorSelector,
    kMatrixSelector,
    kSubquery,
    kAggregate,
    kCall,
    kBinary,
    kUnary,
    kParen,
  };

  explicit Expr(Kind k) : kind(k) {}
  virtual ~Expr() = default;
  Expr(const Expr&) = delete;
  Expr& operator=(const Expr&) = delete;

  template <typename T>
  const T& As() const {
    return static_cast<const T&>(*this);
  }
  template <typename T>
  T& As() {
    return static_cast<T&>(*this);
  }

  const Kind kind;
  PosRange pos;
  ValueType type = ValueType::kNone;
  int32_t depth = 1;            // Height of this tree.
  bool step_invariant = false;  // Set by the planner: the same answer at every step.
};
using ExprPtr = std::unique_ptr<Expr>;

struct NumberLiteral : Expr {
  NumberLiteral() : Expr(Kind::kNumber) { type = ValueType::kScalar; }
  double value = 0;
  bool is_duration_text = false;  // Written as a duration; printed as one.
};

struct StringLiteral : Expr {
  StringLiteral() : Expr(Kind::kString) { type = ValueType::kString; }
  std::string value;
};

// offset and @, on a selector or a subquery. The planner fills the resolved part.
struct TimeShift {
  enum class At : uint8_t { kNone, kTimestamp, kStart, kEnd };
  At at = At::kNone;
  int64_t at_ms = 0;       // kTimestamp; after planning also for the other two.
  DurationExprPtr offset;  // Null: none.
  int64_t offset_ms = 0;   // Resolved by the planner.
};

struct VectorSelector : Expr {
  VectorSelector() : Expr(Kind::kVectorSelector) { type = ValueType::kVector; }
  std::string name;               // "" when only matchers were given.
  std::vector<Matcher> matchers;  // Including the one for the name.
  TimeShift shift;
  bool anchored = false;
  bool smoothed = false;
  // Only counts and sums of its histograms are asked for, not their buckets. Set by the plan.
  bool counts_only = false;
  // Nobody above looks at values, only at where there are samples; nobody at other labels than these,
  // where they are told. Set by the plan.
  bool presence_only = false;
  std::optional<std::vector<std::string>> labels;
};

struct MatrixSelector : Expr {
  MatrixSelector() : Expr(Kind::kMatrixSelector) { type = ValueType::kMatrix; }
  std::unique_ptr<VectorSelector> selector;
  DurationExprPtr range;
  int64_t range_ms = 0;  // Resolved.
};

struct SubqueryExpr : Expr {
  SubqueryExpr() : Expr(Kind::kSubquery) { type = ValueType::kMatrix; }
  ExprPtr expr;
  DurationExprPtr range;
  DurationExprPtr step;  // Null: the default step.
  TimeShift shift;
  int64_t range_ms = 0;  // Resolved.
  int64_t step_ms = 0;   // Resolved; 0: the default step.
};

struct AggregateExpr : Expr {
  AggregateExpr() : Expr(Kind::kAggregate) { type = ValueType::kVector; }
  AggregateOp op = AggregateOp::kSum;
  ExprPtr expr;
  ExprPtr param;  // Null where the operator has none.
  std::vector<std::string> grouping;
  bool without = false;
  bool has_grouping = false;
};

struct FunctionInfo;

struct Call : Expr {
  Call() : Expr(Kind::kCall) {}
  const FunctionInfo* function = nullptr;
  std::vector<ExprPtr> args;
};

struct VectorMatching {
  enum class Card : uint8_t { kOneToOne, kManyToOne, kOneToMany, kManyToMany };
  Card card = Card::kOneToOne;
  bool on = false;
  bool given = false;  // on or ignoring was written.
  std::vector<std::string> labels;
  std::vector<std::string> include;
  std::optional<double> fill_left;
  std::optional<double> fill_right;
};

struct BinaryExpr : Expr {
  BinaryExpr() : Expr(Kind::kBinary) {}
  BinaryOp op = BinaryOp::kAdd;
  ExprPtr lhs;
  ExprPtr rhs;
  bool return_bool = false;
  VectorMatching matching;
};

struct UnaryExpr : Expr {
  UnaryExpr() : Expr(Kind::kUnary) {}
  bool negate = false;
  ExprPtr expr;
};

struct ParenExpr : Expr {
  ParenExpr() : Expr(Kind::kParen) {}
  ExprPtr expr;
};

// The children of a node in the order of the text; null pointers left out.
std::vector<const Expr*> Children(const Expr& expr);

// The expression without the parentheses around it.
const Expr& WithoutParens(const Expr& expr);

}  // namespace vedette::promql
