#pragma once

#include <string>

#include "server/promql/parser/ast.h"

namespace vedette::api {

// A parsed expression as /api/v1/parse_query shows it: nested objects, one a node, in the form that
// Prometheus' own page draws as a tree.
std::string TreeJson(const promql::Expr& expr);

}  // namespace vedette::api
