#pragma once

#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/config/rule_tests.h"

namespace vedette::rehearsal {

struct RuleTestResult {
  std::string name;  // Of the test, or its place in the file.
  std::vector<std::string> failures;
};

// Runs one file of unit tests on our own rule engine and PromQL, in memory. A Status: the file, or
// a rule file that it names, cannot be read at all.
Result<std::vector<RuleTestResult>> RunRuleTests(const config::RuleTestFile& file);

}  // namespace vedette::rehearsal
