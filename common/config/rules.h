#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/config/notice.h"

// Rule files: groups of recording and alerting rules. What needs a PromQL parser or a template
// engine (is `expr` an expression?) is the ruler's to check; each rule keeps its lines for that.
namespace vedette::config {

struct RuleConfig {
  std::string record;  // Exactly one of record and alert is set.
  std::string alert;
  std::string expr;
  int64_t for_ms = 0;
  int64_t keep_firing_for_ms = 0;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
  int line = 0;       // Of the rule.
  int expr_line = 0;  // Of the expression's first character; expr_column likewise.
  int expr_column = 0;

  const std::string& name() const { return record.empty() ? alert : record; }
  bool operator==(const RuleConfig&) const = default;
};

struct RuleGroupConfig {
  std::string name;
  std::string file;
  std::optional<int64_t> interval_ms;      // Unset: global.evaluation_interval.
  std::optional<int64_t> query_offset_ms;  // Unset: global.rule_query_offset.
  int64_t limit = 0;
  std::map<std::string, std::string> labels;
  std::vector<RuleConfig> rules;
  int line = 0;

  bool operator==(const RuleGroupConfig&) const = default;
};

struct RuleFileConfig {
  std::string file;
  std::vector<RuleGroupConfig> groups;
  ConfigNotices notices;

  bool operator==(const RuleFileConfig&) const = default;
};

struct RuleLoadOptions {
  bool ignore_unknown_fields = false;
};

Result<RuleFileConfig> LoadRuleFile(const std::string& path, RuleLoadOptions options = {});
Result<RuleFileConfig> ParseRuleFile(std::string_view text, const std::string& file,
                                     RuleLoadOptions options = {});

}  // namespace vedette::config
