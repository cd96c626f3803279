#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

// Unit tests of rules, in promtool's format.
namespace vedette::config {

struct InputSeries {
  std::string series;  // metric{label="value"}
  std::string values;  // 1 2+3x4 _ stale
  int line = 0;
};

struct ExpectedAlert {
  std::map<std::string, std::string> labels;  // Without alertname.
  std::map<std::string, std::string> annotations;
};

struct AlertRuleTest {
  int64_t eval_time_ms = 0;
  std::string alertname;
  std::string groupname;  // "": any.
  std::vector<ExpectedAlert> expected;
  int line = 0;
};

struct ExpectedSample {
  std::string labels;  // metric{label="value"}
  double value = 0;
  std::string histogram;  // {{schema:0 ...}}; then value means nothing.
};

struct ExprTest {
  std::string expr;
  int64_t eval_time_ms = 0;
  std::vector<ExpectedSample> expected;
  int line = 0;
};

struct RuleTestGroup {
  std::string name;
  int64_t interval_ms = 60'000;
  int64_t start_ms = 0;  // start_timestamp: when the first sample of each series is.
  std::vector<InputSeries> input;
  std::vector<AlertRuleTest> alert_tests;
  std::vector<ExprTest> expr_tests;
  std::map<std::string, std::string> external_labels;
  std::string external_url;
  int line = 0;
};

struct RuleTestFile {
  std::string file;
  std::vector<std::string> rule_files;  // Absolute, globs resolved.
  int64_t evaluation_interval_ms = 60'000;
  std::vector<std::string> group_eval_order;
  bool fuzzy_compare = false;
  std::vector<RuleTestGroup> tests;
};

// A glob of rule_files that matches nothing is a mistake.
Result<RuleTestFile> LoadRuleTestFile(const std::string& path);
Result<RuleTestFile> ParseRuleTestFile(std::string_view text, const std::string& file);

}  // namespace vedette::config
