#pragma once

#include "server/promql/engine.h"
#include "server/promql/parser/parser.h"

namespace vedette::promql {

// What the parser may take where an engine has these options.
inline ParserOptions ParsingOf(const EngineOptions& o) {
  return {.experimental_functions = o.experimental_functions,
          .extended_range_selectors = o.extended_range_selectors,
          .binop_fill_modifiers = o.binop_fill_modifiers,
          .max_bytes = o.max_text_bytes,
          .max_depth = o.max_depth};
}

}  // namespace vedette::promql
