#pragma once

#include "common/base/status.h"
#include "server/promql/engine.h"
#include "server/promql/engine/profiler.h"
#include "server/promql/functions/column.h"
#include "server/promql/parser/ast.h"
#include "server/promql/plan/plan.h"
#include "server/storage/queryable.h"

namespace vedette::promql {

// A planned tree for people. Parentheses are left out; a range selector is one node. How many
// series each selector matches is asked of `querier`; `costs` (null: none) is what running it took.
Result<PlanNode> ExplainTree(const Expr& expr, const Grid& grid, const PlanContext& context,
                             storage::Querier& querier, Profiler* costs);

}  // namespace vedette::promql
