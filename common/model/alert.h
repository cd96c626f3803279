#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/model/labels.h"

namespace vedette {

// What a rule measured while its alert fired. "Worst" is the largest value, or the smallest where
// the rule fires below a limit.
struct AlertEvidence {
  double at_fire = 0;
  double worst = 0;
  int64_t worst_at_ms = 0;
  std::optional<double> at_resolve;  // Known when it has ended and its series is still there.
  std::string graph_url;             // The expression around the time of firing.
};

// An alert on its way from whoever found it (the rule engine, a foreign Prometheus) to whoever
// tells people. Its labels are its identity: the same labels again are news about the same alert.
struct Alert {
  Labels labels;       // With alertname.
  Labels annotations;  // Free text for people.
  int64_t starts_at_ms = 0;
  int64_t ends_at_ms = 0;  // Firing while this is in the future; 0: not known yet.
  std::string generator_url;
  std::optional<AlertEvidence> evidence;  // Of our own rules' alerts.

  bool resolved_at(int64_t now_ms) const { return ends_at_ms != 0 && ends_at_ms <= now_ms; }
};

}  // namespace vedette
