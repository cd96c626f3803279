#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/model/labels.h"
#include "common/model/target_group.h"
#include "server/scrape/job.h"

namespace vedette::scrape {

// Target is one thing to scrape: its labels and the URL behind them. Immutable, shared by all who
// look at it.
struct Target {
  std::string job;
  Labels discovered_labels;  // Before relabelling, with __address__ and the rest.
  Labels labels;             // Of its series: after relabelling, without "__" labels.
  std::string scheme;
  std::string address;
  std::string metrics_path;
  std::string url;          // Whole, with its query.
  std::string unix_socket;  // From __unix_socket__: connect there instead of to the address.
  int64_t interval_ms = 0;
  int64_t timeout_ms = 0;
  bool native_histograms = false;
  bool always_classic_histograms = false;
  bool convert_classic_histograms = false;

  // Same labels and same URL: the same target, whatever discovery says about it besides.
  bool SameIdentity(const Target& other) const {
    return labels == other.labels && url == other.url;
  }
  uint64_t IdentityHash() const;

  // When it is scraped inside its interval: at one of so many places, so that scrapes are spread
  // over the interval and stay where they are across restarts with the same seed. Not at any
  // millisecond: of a thousand targets some share a place, and then threads wake and caches fill
  // once for all of them. An agent's answer is small, and what comes together is one commit: they
  // have fewer places.
  static constexpr uint64_t kPlaces = 200;
  static constexpr uint64_t kPlacesOfAgents = 25;
  int64_t OffsetMs(uint64_t seed) const;
};

struct DroppedTarget {
  std::string job;
  Labels discovered_labels;
};

// Relabels one discovered target by Prometheus' rules: job, __scheme__, __metrics_path__,
// __scrape_interval__, __scrape_timeout__ and __param_* are set before; the address, the interval
// and the timeout are checked after; "instance" is the address unless a rule set it. Null without
// error: dropped by a rule.
Result<std::shared_ptr<const Target>> MakeTarget(const Labels& discovered, const Job& job);

// All of a job: groups into targets, each identity once. A target that cannot be made is in
// `failures` and the others go on.
struct TargetSet {
  std::vector<std::shared_ptr<const Target>> active;
  std::vector<DroppedTarget> dropped;  // At most keep_dropped_targets, if that is set.
  uint64_t dropped_count = 0;
  std::vector<Status> failures;
};
TargetSet MakeTargets(const std::vector<TargetGroup>& groups, const Job& job);

}  // namespace vedette::scrape
