#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/model/matcher.h"
#include "server/promql/parser/ast.h"

namespace vedette::promql {

// A query may be so many bytes long, and its tree so many levels high: what recurses over a tree
// (the evaluator, the printer) then fits the stack of a thread.
inline constexpr size_t kMaxQueryBytes = 1 << 20;
inline constexpr int32_t kMaxQueryDepth = 1000;
// Brackets within brackets: each costs the parser several calls, and a sanitizer's frames are
// large. A chain such as a + b + c + ... is no nesting.
inline constexpr int32_t kMaxQueryNesting = 250;

// What is behind a feature flag, and limits that may be lower than those above.
struct ParserOptions {
  bool experimental_functions = false;
  bool extended_range_selectors = false;  // anchored, smoothed
  bool binop_fill_modifiers = false;      // fill, fill_left, fill_right
  size_t max_bytes = kMaxQueryBytes;
  int32_t max_depth = kMaxQueryDepth;  // At most that.
  int32_t max_nesting() const { return std::min(kMaxQueryNesting, max_depth / 4); }
};

// Reads one expression of PromQL as of Prometheus 3.x and checks its types. Failures are
// kInvalidArgument and begin with the position: "1:5: parse error: reason". Recursive descent,
// binary operators by precedence climbing; linear in the text.
Result<ExprPtr> ParseExpr(std::string_view text, const ParserOptions& options = {});

// Reads one vector selector without offset and @: what match[] takes.
Result<std::vector<Matcher>> ParseMetricSelector(std::string_view text);

// The vector selectors in a tree, in the order of the text.
std::vector<const VectorSelector*> Selectors(const Expr& expr);

}  // namespace vedette::promql
