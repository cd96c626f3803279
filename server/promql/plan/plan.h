#pragma once

#include <cstdint>

#include "common/base/status.h"
#include "server/promql/parser/ast.h"

namespace vedette::promql {

// What of a query the plan depends on.
struct PlanContext {
  std::string_view text;
  int64_t start_ms = 0;
  int64_t end_ms = 0;
  int64_t step_ms = 0;
  int64_t lookback_ms = 0;
  int64_t default_subquery_step_ms = 60'000;
};

// Turns a parsed tree into one that can run: durations become milliseconds, @ start() and @ end()
// instants, and subtrees with the same answer at every step are marked. Refuses what only shows
// now: a duration that is not positive, a smoothed selector under the wrong function.
Status PlanQuery(Expr& expr, const PlanContext& context);

// The instants between which the selectors of a planned tree may want samples.
struct TimeRange {
  int64_t min_ms = 0;
  int64_t max_ms = 0;
  bool empty = true;

  void Cover(int64_t from, int64_t to) {
    if (empty || from < min_ms) min_ms = from;
    if (empty || to > max_ms) max_ms = to;
    empty = false;
  }
};
TimeRange NeededRange(const Expr& expr, const PlanContext& context);

// Steps of a subquery: multiples of `step` in (start - range, end].
struct SubquerySteps {
  int64_t start_ms = 0;
  int64_t steps = 0;
};
SubquerySteps StepsOfSubquery(int64_t first_ref_ms, int64_t last_ref_ms, int64_t range_ms,
                              int64_t step_ms);

}  // namespace vedette::promql
