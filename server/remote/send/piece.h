#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/model/labels.h"
#include "common/model/metric_family.h"

namespace vedette::remote {

// A series as one destination sees it: external labels and relabelling applied.
struct OutSeries {
  Labels labels;
  std::string encoded;  // As the label fields of a remote write 1.0 TimeSeries.
  uint64_t hash = 0;    // Decides the shard.
};

// One sample, histogram or exemplar on its way out.
struct Piece {
  enum class Kind : uint8_t { kSample, kHistogram, kExemplar };

  std::shared_ptr<const OutSeries> series;
  Kind kind = Kind::kSample;
  int64_t t_ms = 0;
  double value = 0;
  std::string message;     // kHistogram: the prometheus.Histogram.
  Labels exemplar_labels;  // kExemplar.
  uint64_t entry = 0;      // In the queue.
};

}  // namespace vedette::remote
