#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/model/histogram.h"
#include "common/model/labels.h"
#include "common/model/metric_family.h"
#include "common/model/snapshot.h"

namespace vedette::wire {

// The frames inside AgentService.Pull. A frame is one snapshot, said against the one before it on
// the same stream: each source has a layout (which series, in which order) that both sides know,
// new series are appended to it once, and a scrape is one timestamp and the values that changed.
// The first frame of a stream starts from empty layouts. docs/formats/pull.md has every byte.
inline constexpr uint32_t kPullVersion = 1;

// One per stream, on the agent. Not thread-safe.
class PullEncoder {
 public:
  PullEncoder();
  ~PullEncoder();
  PullEncoder(const PullEncoder&) = delete;
  PullEncoder& operator=(const PullEncoder&) = delete;

  // The next frame. A series that comes back at the same place costs a compare; one that is missing
  // is a hole (or starts the layout over once most of it is holes).
  std::string Encode(const Snapshot& snapshot);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// One source of a decoded frame.
struct PulledSource {
  SourceState state;
  // The layout starts over: positions known before mean nothing any more.
  bool layout_reset = false;
  // Appended to the layout by this frame: position values.size() - added.size() and on.
  struct AddedSeries {
    Labels labels;
    uint32_t family;  // Index into families.
  };
  std::span<const AddedSeries> added;
  // Families named by this frame's added series, and those whose metadata changed.
  struct Family {
    std::string name;
    Metadata metadata;
  };
  std::span<const Family> families;
  // values[p] for every position of the layout; kAbsent where the series is missing, and where its
  // sample is in `histograms`.
  std::span<const double> values;
  // Native histograms by position, those that changed and those that did not.
  struct HistogramAt {
    uint32_t position;
    std::shared_ptr<const Histogram> histogram;
  };
  std::span<const HistogramAt> histograms;
  struct ExemplarAt {
    uint32_t position;
    Exemplar exemplar;
  };
  // Only those that were not in the frame before.
  std::span<const ExemplarAt> exemplars;
  // Explicit times of an application's samples, by position; rare.
  struct TimeAt {
    uint32_t position;
    int64_t t_ms;
  };
  std::span<const TimeAt> times;
  // When a count began (FamilySample::start_ms), where that became known or changed.
  std::span<const TimeAt> starts;
};

struct PullFrame {
  uint64_t run_id = 0;
  uint64_t sequence = 0;
  int64_t t_ms = 0;  // By the agent's clock.
  // In the order of the agent. A source that is gone is not in it.
  std::vector<PulledSource> sources;
};

// One per stream, on the server. Not thread-safe. Every byte may be hostile: a bad frame is
// DATA_LOSS (the stream is then started over) and never more memory than max_bytes allows.
class PullDecoder {
 public:
  explicit PullDecoder(size_t max_bytes = 256 << 20);
  ~PullDecoder();
  PullDecoder(const PullDecoder&) = delete;
  PullDecoder& operator=(const PullDecoder&) = delete;

  // Valid until the next call.
  Result<const PullFrame*> Decode(std::string_view frame);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vedette::wire
