#pragma once

#include <cstdint>
#include <string>

#include "common/model/labels.h"

namespace vedette {

// An alert on its way from whoever found it (the rule engine, a foreign Prometheus) to whoever
// tells people. Its labels are its identity: the same labels again are news about the same alert.
struct Alert {
  Labels labels;       // With alertname.
  Labels annotations;  // Free text for people.
  int64_t starts_at_ms = 0;
  int64_t ends_at_ms = 0;  // Firing while this is in the future; 0: not known yet.
  std::string generator_url;

  bool resolved_at(int64_t now_ms) const { return ends_at_ms != 0 && ends_at_ms <= now_ms; }
};

}  // namespace vedette
