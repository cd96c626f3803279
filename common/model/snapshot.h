#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/model/metric_family.h"

namespace vedette {

// Where an agent's metrics come from. Each source has a layout, a timeline and an `up` of its own,
// so that an application that dies does not touch the host's series.
struct SourceState {
  enum class Kind : uint8_t { kUnspecified, kHost, kContainer, kMysql, kApplication };

  std::string name;  // Unique in the agent: "host", "container", "mysql", an application's name.
  Kind kind = Kind::kUnspecified;
  bool up = false;
  std::string error;  // Why it is not up.
  double duration_seconds = 0;
  std::string address;  // Of an application: where it is read.

  bool operator==(const SourceState&) const = default;
};

struct SourceSnapshot {
  SourceState state;
  std::vector<MetricFamily> families;  // Empty when the source is not up.
};

// One collection of everything an agent sees, at one instant. Made once, shared by all who ask
// within the same moment, and never changed.
struct Snapshot {
  uint64_t run_id = 0;    // Random, of this start of the agent.
  uint64_t sequence = 0;  // Counts from 1 in a run.
  int64_t t_ms = 0;       // When the collection began, by the agent's clock.
  std::vector<SourceSnapshot> sources;
};

}  // namespace vedette
