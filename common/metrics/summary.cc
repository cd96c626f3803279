#include "common/metrics/summary.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace vedette::metrics {
namespace {

constexpr double kLeast = 1e-7;
constexpr double kMost = 1e7;
constexpr double kRatio = 1.02;

// 0 is for what is too little to tell from nothing.
int BucketOf(double v) {
  if (v < kLeast) return 0;
  return 1 + static_cast<int>(std::log(std::min(v, kMost) / kLeast) / std::log(kRatio));
}

// The middle of a bucket, as ratios go.
double ValueOf(int bucket) {
  return bucket == 0 ? 0 : kLeast * std::pow(kRatio, bucket - 0.5);
}

}  // namespace

void Summary::Observe(double v) {
  const int64_t now = StrideNow();
  MutexLock lock(mu_);
  ++count_;
  sum_ += v;
  if (std::isnan(v)) return;
  Stride& stride = strides_[static_cast<size_t>(now % kStrides)];
  if (stride.number != now) stride = {.number = now};
  ++stride.counts[BucketOf(v)];
}

Summary::Values Summary::values() const {
  const int64_t now = StrideNow();
  Values out;
  out.quantiles.fill(std::numeric_limits<double>::quiet_NaN());
  Counts window;
  uint64_t total = 0;
  {
    MutexLock lock(mu_);
    out.count = count_;
    out.sum = sum_;
    for (const Stride& stride : strides_) {
      if (stride.number < 0 || stride.number <= now - kStrides) continue;
      for (const auto& [bucket, n] : stride.counts) {
        window[bucket] += n;
        total += n;
      }
    }
  }
  if (total == 0) return out;
  uint64_t below = 0;
  size_t next = 0;
  for (const auto& [bucket, n] : window) {
    below += n;
    // The value at rank ceil(q * total), counted from 1.
    while (next < kQuantiles.size() &&
           static_cast<double>(below) >= kQuantiles[next] * static_cast<double>(total)) {
      out.quantiles[next++] = ValueOf(bucket);
    }
  }
  return out;
}

}  // namespace vedette::metrics
