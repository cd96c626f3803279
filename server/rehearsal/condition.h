#pragma once

#include <optional>
#include <string>

#include "server/promql/parser/parser.h"
#include "server/ruler/rule.h"

namespace vedette::rehearsal {

// What an alerting expression measures, and on which side of its limit it fires: the side of the
// outermost comparison that is not a number. Nothing where there is no comparison.
std::optional<ruler::AlertCondition> ConditionOf(const std::string& expr,
                                                 const promql::ParserOptions& options);

}  // namespace vedette::rehearsal
