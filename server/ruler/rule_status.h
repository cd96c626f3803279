#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/model/labels.h"

// What the rule engine tells about itself: what /api/v1/rules and /api/v1/alerts show.
namespace vedette::ruler {

enum class AlertState : uint8_t { kInactive, kPending, kFiring };
std::string_view AlertStateName(AlertState state);  // "inactive", "pending", "firing"

struct ActiveAlert {
  Labels labels;
  Labels annotations;
  AlertState state = AlertState::kInactive;
  int64_t active_at_ms = 0;
  int64_t keep_firing_since_ms = 0;  // 0: its condition still holds.
  double value = 0;
};

enum class RuleHealth : uint8_t { kUnknown, kOk, kErr };
std::string_view RuleHealthName(RuleHealth health);  // "unknown", "ok", "err"

struct RuleStatus {
  bool alerting = false;
  std::string name;
  std::string query;
  Labels labels;       // As written; templates not expanded.
  Labels annotations;  // Likewise.
  int64_t for_ms = 0;
  int64_t keep_firing_for_ms = 0;
  AlertState state = AlertState::kInactive;  // The worst of its alerts.
  std::vector<ActiveAlert> alerts;           // Pending and firing.
  RuleHealth health = RuleHealth::kUnknown;
  std::string last_error;
  double evaluation_seconds = 0;
  int64_t last_evaluation_ms = 0;  // 0: never.
};

struct RuleGroupStatus {
  std::string name;
  std::string file;
  int64_t interval_ms = 0;
  int64_t limit = 0;
  double evaluation_seconds = 0;
  int64_t last_evaluation_ms = 0;
  std::vector<RuleStatus> rules;
  // Counters since the group was loaded.
  uint64_t iterations = 0;
  uint64_t iterations_missed = 0;
  uint64_t evaluations = 0;  // Of rules.
  uint64_t evaluation_failures = 0;
  uint64_t samples_written = 0;  // Of the last iteration.
  double restore_seconds = 0;    // What looking up `for` after the start took; 0: not done.
};

}  // namespace vedette::ruler
