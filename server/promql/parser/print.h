#pragma once

#include <string>

#include "server/promql/parser/ast.h"

namespace vedette::promql {

// The expression as one line of text. Parsing that text gives the same tree, and printing it again
// the same text.
std::string Print(const Expr& expr);

// The expression over several indented lines where one would be long: what format_query answers.
std::string PrettyPrint(const Expr& expr);

// A duration expression alone, and milliseconds as 1h30m.
std::string Print(const DurationExpr& duration);
std::string DurationText(int64_t ms);

}  // namespace vedette::promql
