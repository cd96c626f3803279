#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "server/promql/functions/annotations.h"
#include "server/promql/functions/column.h"

namespace vedette::promql {

// A sample of a window that may hold either kind.
struct MixedSample {
  int64_t t_ms = 0;
  double value = 0;
  HistogramPtr histogram;
  int64_t start_ms = 0;  // 0: not known.
  bool fresh = false;    // Its start timestamp lies after the sample before: a reset.
};

// What of a window's samples the start timestamps tell; true where some of them overlap.
bool MarkFresh(std::vector<MixedSample>& all);

// Both are histograms.
bool ResetBetween(const MixedSample& before, const MixedSample& after);

// Whether the first or last of some points is a sample, or was made where the window ends.
enum class Edge : uint8_t { kSample, kInterpolated };

// last - first plus what resets took away; null (and a warning) where that makes no sense.
std::shared_ptr<Histogram> HistogramChange(std::span<const MixedSample> points, bool is_counter,
                                           std::string_view metric, PosRange pos,
                                           Annotations& notes, Edge left = Edge::kSample,
                                           Edge right = Edge::kSample);

// Changes or resets from sample to sample; a change of kind counts as both.
double CountTurns(std::span<const MixedSample> all, bool resets);

}  // namespace vedette::promql
