#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "server/promql/engine.h"

namespace vedette::promql {

// What came of one script.
struct ScriptOutcome {
  int passed = 0;
  int failed = 0;
  std::vector<std::string> failures;  // "line 12: query: what differs".
};

// Runs a script in the test language of Prometheus ("load", "clear", "eval ...") against an engine
// over a MemoryStorage. Everything after a line that cannot be read is counted as failed.
ScriptOutcome RunScript(std::string_view text, const EngineOptions& options);

// The engine options such scripts expect: every feature on.
EngineOptions ScriptOptions();

}  // namespace vedette::promql
