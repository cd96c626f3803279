#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/model/histogram.h"

// Arithmetic over native histograms, as Prometheus defines it for the float form.
namespace vedette::promql {

inline bool UsesCustomBuckets(const Histogram& h) { return h.schema == Histogram::kCustomSchema; }

// One bucket with its bounds; (lower, upper] but for the zero bucket, which has both.
struct Bucket {
  double lower = 0;
  double upper = 0;
  double count = 0;
  int32_t index = 0;
};

// The non-empty spans of one side, and of the whole histogram from the lowest bucket to the
// highest with the zero bucket in the middle. Empty buckets inside spans are in it.
std::vector<Bucket> PositiveBuckets(const Histogram& h);
std::vector<Bucket> NegativeBuckets(const Histogram& h);  // From zero outwards.
std::vector<Bucket> AllBuckets(const Histogram& h);

// What happened on the way of a sum or difference.
struct CombineNotes {
  bool reset_collision = false;    // One said "reset", the other "not reset".
  bool bounds_reconciled = false;  // Custom bounds differed: the common ones were kept.
};

// h += other, h -= other. False, and h unchanged, where exponential meets custom buckets. Schemas
// and zero thresholds are brought to what both can say.
bool AddTo(Histogram& h, const Histogram& other, CombineNotes* notes);
bool SubtractFrom(Histogram& h, const Histogram& other, CombineNotes* notes);

// HistogramTotal sums histograms up, each bucket with its own compensation, or takes their mean: a
// compensated sum too, and once a number of that would overflow, a running mean (as Mean in
// numbers.h does for floats).
//
//   HistogramTotal total(/*mean=*/true);
//   for (...) if (!total.Add(h, &notes)) ...;  // Exponential met custom buckets.
//   out.Set(i, total.Value());
//
// Costs a map entry per bucket.
class HistogramTotal {
 public:
  explicit HistogramTotal(bool mean);
  ~HistogramTotal();
  HistogramTotal(HistogramTotal&&) noexcept;
  HistogramTotal& operator=(HistogramTotal&&) noexcept;

  // As AddTo.
  bool Add(const Histogram& h, CombineNotes* notes);
  // Compact; at least one was added.
  std::shared_ptr<Histogram> Value() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
  bool mean_;
};

void Multiply(Histogram& h, double factor);
void Divide(Histogram& h, double divisor);
// Fewer, wider buckets; `schema` is not above h.schema.
void ReduceSchema(Histogram& h, int32_t schema);
// Drops empty buckets and joins spans.
void Compact(Histogram& h);

// a + (b - a) * fraction; null where the two cannot be combined.
std::shared_ptr<const Histogram> Interpolated(const Histogram& a, const Histogram& b,
                                              double fraction);

// A counter reset lies between `previous` and `current`.
bool DetectReset(const Histogram& current, const Histogram& previous);
// One series' histograms as stored, null where there is a float, with what is known of resets:
// each but gauges is compared with the one right before it (`before` for the first). A reset that
// was found, and not said by the writer, is said only with `tell_resets`: otherwise the histogram
// claims nothing, because Prometheus' storage, which begins a chunk there, does not either.
std::vector<std::shared_ptr<const Histogram>> WithResetHints(
    const Histogram* before, std::span<const std::shared_ptr<const Histogram>> histograms,
    bool tell_resets);
// The same buckets, counts and sum, whatever the spans look like.
bool SameContent(const Histogram& a, const Histogram& b);

// `nan_result`, `nan_skew`, `nans`: there are NaN observations, and what they make of the result.
double NativeQuantile(double q, const Histogram& h, bool* nan_result, bool* nan_skew);
double NativeFraction(double lower, double upper, const Histogram& h, bool* nans);
double NativeVariance(const Histogram& h);

// h </ limit and h >/ limit: what was observed above (below) is taken out, by interpolation inside
// the bucket that `limit` falls into; the sum is estimated anew.
void TrimAbove(Histogram& h, double limit);
void TrimBelow(Histogram& h, double limit);

// As Prometheus writes one out: {count:3, sum:4.5, (1,2]:3}.
std::string HistogramText(const Histogram& h);

// Classic buckets: cumulative counts by upper bound.
struct ClassicBucket {
  double upper = 0;
  double count = 0;
};
// Counts that fell were made to rise.
struct ClassicNotes {
  bool forced_monotonic = false;
  double min_bucket = 0;
  double max_bucket = 0;
  double max_diff = 0;
};
double ClassicQuantile(double q, std::vector<ClassicBucket>& buckets, ClassicNotes* notes);
double ClassicFraction(double lower, double upper, std::vector<ClassicBucket>& buckets);

}  // namespace vedette::promql
