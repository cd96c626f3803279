#include "server/promql/functions/extrapolation.h"

#include <algorithm>

namespace vedette::promql {

double FactorOf(const Extrapolation& e, size_t samples, bool is_counter, double change,
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
