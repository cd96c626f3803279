#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace vedette::promql {

inline double Seconds(int64_t ms) { return static_cast<double>(ms) / 1000.0; }

// How far a change over [first, last] reaches to the edges of the range, as a factor.
struct Extrapolation {
  bool from_start = false;  // A start timestamp says where it all began: nothing to add on the left.
  double between = 0;       // First to last sample; `sampled` may begin before, at the start.
  double sampled = 0;
  double to_start = 0;
  double to_end = 0;
};

// `change`: last less first, with what resets took away; `first`: the first value, or the count of
// the first histogram. Here, so that it is part of the loop over the windows.
inline double FactorOf(const Extrapolation& e, size_t samples, bool is_counter, double change,
                       double first) {
  double to_start = e.to_start;
  double to_end = e.to_end;
  if (e.from_start) {
    if (samples == 1) return 1;  // How far samples are apart is not known.
    const double apart = e.between / static_cast<double>(samples - 1);
    if (to_end >= apart * 1.1) to_end = apart / 2;
    return (e.sampled + to_end) / e.sampled;
  }
  const double average = e.sampled / static_cast<double>(samples - 1);
  const double threshold = average * 1.1;
  if (to_start >= threshold) to_start = average / 2;
  if (is_counter && change > 0 && first >= 0) {
    // A counter cannot have been below zero: extrapolation ends where it would be.
    to_start = std::min(to_start, e.sampled * (first / change));
  }
  if (to_end >= threshold) to_end = average / 2;
  return (e.sampled + to_start + to_end) / e.sampled;
}

}  // namespace vedette::promql
