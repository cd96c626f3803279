#pragma once

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
// the first histogram.
double FactorOf(const Extrapolation& e, size_t samples, bool is_counter, double change,
                double first);

}  // namespace vedette::promql
