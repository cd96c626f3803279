#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/model/snapshot.h"
#include "common/wire/pull.h"

namespace vedette::wire {

// Frames back into whole snapshots: for whoever kept frames because they are small and needs the
// nouns again, and for tools. A server has no use for it; it works on the columns.
//
// Families come in the order in which the stream first named them. Not thread-safe.
class PullSnapshots {
 public:
  explicit PullSnapshots(size_t max_bytes = 256 << 20) : decoder_(max_bytes) {}

  // The next frame of the stream. DATA_LOSS as PullDecoder says it.
  Result<Snapshot> Next(std::string_view frame);

 private:
  struct Place {
    Labels labels;
    size_t family = 0;  // Into families.
  };
  struct Layout {
    std::vector<Place> places;
    std::vector<PulledSource::Family> families;
    std::map<std::string, size_t, std::less<>> by_name;
    std::map<uint32_t, int64_t> starts;
    std::map<uint32_t, std::vector<Exemplar>> exemplars;
  };

  PullDecoder decoder_;
  std::map<std::string, Layout, std::less<>> layouts_;
};

}  // namespace vedette::wire
