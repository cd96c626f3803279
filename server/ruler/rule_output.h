#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/status.h"
#include "common/model/histogram.h"
#include "common/model/labels.h"
#include "server/storage/appender.h"

namespace vedette::ruler {

struct OutputSample {
  Labels labels;  // With __name__.
  double value = 0;
  std::shared_ptr<const Histogram> histogram;
};

// RuleOutput writes what one rule finds: one timeline, because every series of a rule is sampled at
// the same instants. (Not one per group: a later rule of the group must already see what an earlier
// one wrote at this very instant, and a timeline has each instant once.) A series that the rule
// gave last time and not now gets a stale marker. Not thread-safe.
class RuleOutput {
 public:
  RuleOutput(storage::Appender& appender, std::string owner);

  // Writes one instant. Gives how many samples were stored, stale markers not counted.
  Result<uint64_t> Write(int64_t t_ms, const std::vector<OutputSample>& samples);

  // Ends every series that is still there.
  Status End(int64_t t_ms);

 private:
  struct Place {
    uint32_t position = 0;
    uint64_t round = 0;  // The last Write that had it.
  };

  storage::Appender* appender_;  // Never null; a pointer, so that outputs can be swapped.
  std::string owner_;
  std::unique_ptr<storage::TimelineWriter> writer_;
  std::unordered_map<Labels, Place, LabelsHash> places_;  // Of live series.
  uint32_t layout_size_ = 0;
  uint64_t round_ = 0;
  int64_t last_t_ms_ = INT64_MIN;
};

}  // namespace vedette::ruler
