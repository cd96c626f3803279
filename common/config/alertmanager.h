#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/config/notice.h"
#include "common/config/receivers.h"
#include "common/config/time_interval.h"
#include "common/model/matcher.h"

// alertmanager.yml, typed.
namespace vedette::config {

// One node of the routing tree. What a child leaves out is already inherited from its parent, but
// for the matchers, `continue` and the mute and active intervals, which are each node's own.
struct RouteConfig {
  std::string receiver;
  std::vector<std::string> group_by;  // Sorted. Not used when group_by_all.
  bool group_by_all = false;          // ['...']
  bool continue_matching = false;
  std::vector<Matcher> matchers;  // match, match_re and matchers together: all must hold.
  std::map<std::string, std::string> labels;  // Templates; inherited.
  int64_t group_wait_ms = 30'000;
  int64_t group_interval_ms = 300'000;
  int64_t repeat_interval_ms = 4 * 3'600'000;
  std::vector<std::string> mute_time_intervals;
  std::vector<std::string> active_time_intervals;
  std::vector<RouteConfig> routes;
  int line = 0;

  bool operator==(const RouteConfig&) const = default;
};

struct InhibitRuleConfig {
  std::string name;
  std::vector<Matcher> source_matchers;  // With those of source_match and source_match_re.
  std::vector<Matcher> target_matchers;
  std::vector<std::string> equal;  // Sorted.

  bool operator==(const InhibitRuleConfig&) const = default;
};

struct AlertmanagerConfig {
  std::string file;
  std::string text;  // As read, secrets in clear.
  int64_t resolve_timeout_ms = 300'000;
  std::vector<std::string> template_globs;  // Absolute.
  std::vector<std::string> template_files;  // What they matched when loaded.
  RouteConfig route;
  std::vector<ReceiverConfig> receivers;
  std::vector<InhibitRuleConfig> inhibit_rules;
  std::vector<NamedTimeInterval> time_intervals;  // Those of mute_time_intervals too.
  ConfigNotices notices;

  const ReceiverConfig* FindReceiver(std::string_view name) const;
  bool operator==(const AlertmanagerConfig&) const = default;
};

Result<AlertmanagerConfig> LoadAlertmanagerConfig(const std::string& path);
Result<AlertmanagerConfig> ParseAlertmanagerConfig(std::string_view text, const std::string& file);

// The text as read with every secret's value replaced by <secret>: what /api/v2/status may show.
std::string ShownYaml(const AlertmanagerConfig& config);

// Every secret that the text holds, longest first, so that they can be masked elsewhere.
std::vector<std::string> SecretValues(const AlertmanagerConfig& config);

// One entry of time_intervals by itself, in YAML or JSON; and as JSON again, by the same names.
Result<TimeInterval> ParseTimeInterval(std::string_view text);
std::string FormatTimeInterval(const TimeInterval& interval);

// Matchers as Alertmanager writes them: foo="bar", foo=~"a.*", {a="b",c!="d"}, UTF-8 names in
// quotes; where that does not parse, the classic reading (foo=bar baz).
Result<std::vector<Matcher>> ParseAlertMatchers(std::string_view text);
Result<Matcher> ParseAlertMatcher(std::string_view text);

}  // namespace vedette::config
