// Quantiles, fractions and variance, of native histograms and of classic buckets.
#include <algorithm>
#include <cmath>
#include <limits>

#include "common/model/sample.h"
#include "server/promql/functions/histogram_math.h"
#include "server/promql/functions/numbers.h"

namespace vedette::promql {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

double CountIn(const std::vector<Bucket>& buckets) {
  double count = 0;
  for (const Bucket& b : buckets) count += b.count;
  return count;
}

// NaN observations are in no bucket. A sum that is NaN alone can come from infinite ones.
bool HasNanObservations(const Histogram& h, const std::vector<Bucket>& buckets) {
  return std::isnan(h.sum) && CountIn(buckets) < h.count;
}

}  // namespace

double NativeQuantile(double q, const Histogram& h, bool* nan_result, bool* nan_skew) {
  if (q < 0) return -kInf;
  if (q > 1) return kInf;
  if (h.count == 0 || std::isnan(q)) return kNormalNan;
  std::vector<Bucket> buckets = AllBuckets(h);
  const bool nan_sum = std::isnan(h.sum);
  // From the nearer end, so that rounding adds up less; NaN observations are in no bucket, so with
  // them only the way from the lower end is right.
  const bool forward = nan_sum || q < 0.5;
  double rank = forward ? q * h.count : (1 - q) * h.count;
  if (!forward) std::reverse(buckets.begin(), buckets.end());
  Bucket bucket;
  double count = 0;
  for (const Bucket& b : buckets) {
    if (b.count == 0) continue;
    bucket = b;
    count += b.count;
    if (count >= rank) break;
  }
  const bool custom = UsesCustomBuckets(h);
  if (!custom && bucket.lower < 0 && bucket.upper > 0) {
    if (h.negative_buckets.empty() && !h.positive_buckets.empty()) {
      bucket.lower = 0;
    } else if (h.positive_buckets.empty() && !h.negative_buckets.empty()) {
      bucket.upper = 0;
    }
  } else if (custom) {
    if (bucket.lower == -kInf) {
      if (bucket.upper <= 0) return bucket.upper;
      bucket.lower = 0;
    } else if (bucket.upper == kInf) {
      if (!(nan_sum && count < rank)) return bucket.lower;
    }
  }
  count = std::min(count, h.count);
  if (count < rank) {
    if (!nan_sum) return bucket.upper;  // The buckets hold less than the count says.
    *nan_result = true;
    return kNormalNan;
  }
  *nan_skew = HasNanObservations(h, buckets);
  rank = forward ? rank - (count - bucket.count) : count - rank;
  const double fraction = rank / bucket.count;
  if (custom || (bucket.lower <= 0 && bucket.upper >= 0)) {
    return bucket.lower + (bucket.upper - bucket.lower) * fraction;
  }
  const double low = std::log2(std::fabs(bucket.lower));
  const double high = std::log2(std::fabs(bucket.upper));
  if (bucket.lower > 0) return std::exp2(low + (high - low) * fraction);
  return -std::exp2(high + (low - high) * (1 - fraction));
}

namespace {

// How many observations of `b` are at or below v, with b.lower < v < b.upper.
double PartBelow(const Bucket& b, double v, bool linear) {
  if (linear) {
    if (std::isinf(b.lower)) return b.count;
    if (std::isinf(b.upper)) return 0;
    return b.count * (v - b.lower) / (b.upper - b.lower);
  }
  const double low = std::log2(std::fabs(b.lower));
  const double high = std::log2(std::fabs(b.upper));
  const double at = std::log2(std::fabs(v));
  const double fraction = v > 0 ? (at - low) / (high - low) : 1 - (at - high) / (low - high);
  return b.count * fraction;
}

double FractionOf(double lower, double upper, double count, const std::vector<Bucket>& buckets,
                  auto is_linear) {
  double rank = 0;
  double lower_rank = 0;
  double upper_rank = 0;
  bool lower_set = false;
  bool upper_set = false;
  for (const Bucket& b : buckets) {
    auto settle = [&](double v, double& at, bool& set) {
      if (set) return;
      if (b.lower >= v) {
        at = rank;
        set = true;
      } else if (b.upper > v) {
        at = rank + PartBelow(b, v, is_linear(b));
        set = true;
      }
    };
    settle(lower, lower_rank, lower_set);
    settle(upper, upper_rank, upper_set);
    if (lower_set && upper_set) break;
    rank += b.count;
  }
  if (!lower_set || lower_rank > count) lower_rank = count;
  if (!upper_set || upper_rank > count) upper_rank = count;
  return lower_rank == upper_rank ? 0 : upper_rank - lower_rank;
}

}  // namespace

double NativeFraction(double lower, double upper, const Histogram& h, bool* nans) {
  if (h.count == 0 || std::isnan(lower) || std::isnan(upper)) return kNormalNan;
  if (lower >= upper) return 0;
  std::vector<Bucket> buckets = AllBuckets(h);
  for (Bucket& b : buckets) {
    if (!(b.lower <= 0 && b.upper >= 0)) continue;
    // Where all observations are on one side of zero, so are those around it.
    if (h.negative_buckets.empty() && !h.positive_buckets.empty()) {
      b.lower = 0;
    } else if (h.positive_buckets.empty() && !h.negative_buckets.empty()) {
      b.upper = 0;
    }
  }
  *nans = HasNanObservations(h, buckets);
  const bool custom = UsesCustomBuckets(h);
  const double limit = std::isnan(h.sum) ? CountIn(buckets) : h.count;
  const double part = FractionOf(lower, upper, limit, buckets, [&](const Bucket& b) {
    return custom || (b.lower <= 0 && b.upper >= 0);
  });
  return part / h.count;
}

double NativeVariance(const Histogram& h) {
  const double mean = h.sum / h.count;
  double variance = 0;
  double c = 0;
  for (const Bucket& b : AllBuckets(h)) {
    if (b.count == 0) continue;
    double value = 0;
    if (UsesCustomBuckets(h)) {
      if (std::isinf(b.lower)) {
        value = b.upper;
      } else if (std::isinf(b.upper)) {
        value = b.lower;
      } else {
        value = (b.lower + b.upper) / 2;
      }
    } else if (!(b.lower <= 0 && b.upper >= 0)) {
      value = std::sqrt(b.upper * b.lower);
      if (b.upper < 0) value = -value;
    }
    const double delta = value - mean;
    CompensatedAdd(b.count * delta * delta, variance, c);
  }
  return (variance + c) / h.count;
}

namespace {

// Sorts and joins equal bounds. False where there is no +Inf bucket.
bool Tidy(std::vector<ClassicBucket>& buckets) {
  std::stable_sort(
      buckets.begin(), buckets.end(),
      [](const ClassicBucket& a, const ClassicBucket& b) { return a.upper < b.upper; });
  if (buckets.empty() || buckets.back().upper != kInf) return false;
  size_t kept = 0;
  for (size_t i = 1; i < buckets.size(); ++i) {
    if (buckets[i].upper == buckets[kept].upper) {
      buckets[kept].count += buckets[i].count;
    } else {
      buckets[++kept] = buckets[i];
    }
  }
  buckets.resize(kept + 1);
  return true;
}

// Makes counts rise.
void ForceMonotonic(std::vector<ClassicBucket>& buckets, ClassicNotes* notes) {
  double previous = buckets[0].count;
  for (size_t i = 1; i < buckets.size(); ++i) {
    double& current = buckets[i].count;
    if (current == previous) continue;
    const double sum = std::fabs(current) + std::fabs(previous);
    const double difference = std::fabs(current - previous);
    if (difference / std::min(sum, std::numeric_limits<double>::max()) < 1e-12) {
      current = previous;  // Rounding, in whichever direction.
      continue;
    }
    if (current < previous) {
      if (!notes->forced_monotonic) notes->min_bucket = buckets[i].upper;
      notes->forced_monotonic = true;
      notes->max_bucket = buckets[i].upper;
      notes->max_diff = std::max(notes->max_diff, previous - current);
      current = previous;
      continue;
    }
    previous = current;
  }
}

}  // namespace

double ClassicQuantile(double q, std::vector<ClassicBucket>& buckets, ClassicNotes* notes) {
  if (std::isnan(q)) return kNormalNan;
  if (q < 0) return -kInf;
  if (q > 1) return kInf;
  if (!Tidy(buckets)) return kNormalNan;
  ForceMonotonic(buckets, notes);
  if (buckets.size() < 2) return kNormalNan;
  const size_t n = buckets.size();
  const double observations = buckets[n - 1].count;
  if (observations == 0 || std::isnan(observations)) return kNormalNan;
  double rank = q * observations;
  size_t b = 0;
  while (b < n - 1 && buckets[b].count < rank) ++b;
  if (b == n - 1) return buckets[n - 2].upper;
  if (b == 0 && buckets[0].upper <= 0) return buckets[0].upper;
  double start = 0;
  double count = buckets[b].count;
  if (b > 0) {
    start = buckets[b - 1].upper;
    count -= buckets[b - 1].count;
    rank -= buckets[b - 1].count;
  }
  return start + (buckets[b].upper - start) * (rank / count);
}

double ClassicFraction(double lower, double upper, std::vector<ClassicBucket>& buckets) {
  if (!Tidy(buckets)) return kNormalNan;
  const double total = buckets.back().count;
  if (total == 0 || std::isnan(lower) || std::isnan(upper)) return kNormalNan;
  if (lower >= upper) return 0;
  std::vector<Bucket> parts;
  for (size_t i = 0; i < buckets.size(); ++i) {
    Bucket b;
    b.lower = i > 0 ? buckets[i - 1].upper : buckets[0].upper > 0 ? 0 : -kInf;
    b.upper = buckets[i].upper;
    b.count = buckets[i].count - (i > 0 ? buckets[i - 1].count : 0);
    parts.push_back(b);
  }
  return FractionOf(lower, upper, total, parts, [](const Bucket&) { return true; }) / total;
}

}  // namespace vedette::promql
