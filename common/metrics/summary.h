#pragma once

#include <array>
#include <cstdint>
#include <map>

#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace vedette::metrics {

// Summary counts observations, their sum, and what they were lately: quantiles over the last ten
// minutes, as Prometheus' clients have them by default.
//
//   Summary seconds(clock);
//   seconds.Observe(0.012);
//   seconds.values().quantiles[4];    // The 99th percentile; NaN while nothing was seen lately.
//
// Values fall into buckets that each span 2 %, so a quantile is off by 1 % at most. What is below
// 100 nanoseconds is 0 there, what is over 10,000,000 is that; NaN has no quantile. The window moves
// in five strides of two minutes.
//
// Memory: one entry of a map for each bucket in use and stride. Observe() takes a lock for some
// additions. Thread-safe; the clock outlives it.
class Summary {
 public:
  static constexpr std::array<double, 5> kQuantiles = {0.01, 0.05, 0.5, 0.9, 0.99};
  static constexpr int64_t kWindowMs = 10 * 60 * 1000;

  explicit Summary(const Clock& clock) : clock_(clock) {}

  void Observe(double v) VEDETTE_EXCLUDES(mu_);

  struct Values {
    uint64_t count = 0;  // Since the start, as the sum.
    double sum = 0;
    std::array<double, kQuantiles.size()> quantiles{};  // NaN where the window is empty.
  };
  Values values() const VEDETTE_EXCLUDES(mu_);

 private:
  using Counts = std::map<int, uint64_t>;  // By bucket.

  static constexpr int64_t kStrides = 5;
  struct Stride {
    int64_t number = -1;  // Which stride of time its counts are about.
    Counts counts;
  };

  int64_t StrideNow() const {
    return clock_.MonotonicNs() / (kWindowMs / kStrides * 1'000'000);
  }

  const Clock& clock_;
  mutable Mutex mu_;
  uint64_t count_ VEDETTE_GUARDED_BY(mu_) = 0;
  double sum_ VEDETTE_GUARDED_BY(mu_) = 0;
  std::array<Stride, kStrides> strides_ VEDETTE_GUARDED_BY(mu_);
};

}  // namespace vedette::metrics
