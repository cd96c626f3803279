#include <cmath>
#include <limits>

#include "server/promql/functions/histogram_math.h"

namespace vedette::promql {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

// Where the observations of a bucket are taken to be, on average, between two values of it.
double MiddleOf(double lower, double upper, bool linear) {
  if (lower == -kInf && upper == kInf) return 0;
  if (lower == -kInf) return upper;
  if (upper == kInf) return lower;
  if (linear || (lower <= 0 && upper >= 0)) return (lower + upper) / 2;
  const double m = std::sqrt(std::fabs(lower) * std::fabs(upper));
  return upper <= 0 ? -m : m;
}

// The share of a bucket's observations at or below v.
double ShareBelow(double lower, double upper, double v, bool linear, bool keep_below) {
  if (v <= lower) return 0;
  if (v >= upper) return 1;
  if (linear) {
    // An infinite bucket is cut whole: what is below -Inf.. stays below, what is above stays above.
    if (lower == -kInf && upper == kInf) return keep_below ? 0 : 1;
    if (lower == -kInf) return 1;
    if (upper == kInf) return 0;
    return (v - lower) / (upper - lower);
  }
  const double low = std::log2(std::fabs(lower));
  const double high = std::log2(std::fabs(upper));
  const double at = std::log2(std::fabs(v));
  return v > 0 ? (at - low) / (high - low) : 1 - (at - high) / (low - high);
}

void Trim(Histogram& h, double limit, bool keep_below) {
  const bool custom = UsesCustomBuckets(h);
  double removed_sum = 0;
  double kept_sum = 0;
  double count = 0;
  bool removed_any = false;
  auto cut = [&](double lower, double upper, double& in_bucket, bool linear) {
    if (in_bucket == 0) return;
    const double below = ShareBelow(lower, upper, limit, linear, keep_below);
    const double kept = in_bucket * (keep_below ? below : 1 - below);
    if (kept != in_bucket) {
      removed_any = true;
      const double from = keep_below ? std::max(lower, std::min(limit, upper)) : lower;
      const double to = keep_below ? upper : std::min(upper, std::max(limit, lower));
      removed_sum += (in_bucket - kept) * MiddleOf(from, to, linear);
    }
    if (kept > 0) {
      const double from = keep_below ? lower : std::max(lower, std::min(limit, upper));
      const double to = keep_below ? std::min(upper, std::max(limit, lower)) : upper;
      kept_sum += kept * MiddleOf(from, to, linear);
    }
    in_bucket = kept;
    count += kept;
  };
  const std::vector<Bucket> positive = PositiveBuckets(h);
  const std::vector<Bucket> negative = NegativeBuckets(h);
  for (size_t i = 0; i < positive.size(); ++i) {
    double lower = positive[i].lower;
    if (custom && lower == -kInf && positive[i].upper > 0 && positive[i].upper < kInf) {
      lower = 0;
    }
    cut(lower, positive[i].upper, h.positive_buckets[i], custom);
  }
  for (size_t i = 0; i < negative.size(); ++i) {
    cut(negative[i].lower, negative[i].upper, h.negative_buckets[i], false);
  }
  if (!custom) {
    double lower = -h.zero_threshold;
    double upper = h.zero_threshold;
    if (negative.empty() && !positive.empty()) lower = 0;
    if (positive.empty() && !negative.empty()) upper = 0;
    cut(lower, upper, h.zero_count, true);
  }
  if (removed_any) {
    h.count = count;
    h.sum = kept_sum;
  }
  Compact(h);
}

}  // namespace

void TrimAbove(Histogram& h, double limit) { Trim(h, limit, true); }
void TrimBelow(Histogram& h, double limit) { Trim(h, limit, false); }

}  // namespace vedette::promql
