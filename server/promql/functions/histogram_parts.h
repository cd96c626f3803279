#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "common/model/histogram.h"
#include "server/promql/functions/histogram_math.h"

// Native histograms taken apart, for arithmetic over them.
namespace vedette::promql {

// The buckets of one side by index: what arithmetic works on.
using Side = std::map<int32_t, double>;

Side Unpack(const std::vector<Histogram::Span>& spans, const std::vector<double>& counts);
// Buckets that are empty are left out.
void Pack(const Side& side, std::vector<Histogram::Span>& spans, std::vector<double>& counts);

// Of a bucket of the positive side.
double UpperBound(const Histogram& h, int32_t index);

// Exponential buckets of schema `from` as those of `to`, where that has fewer.
Side Reduced(const Side& side, int32_t from, int32_t to);

// An exponential histogram taken apart.
struct Parts {
  int32_t schema = 0;
  double zero_threshold = 0;
  double zero_count = 0;
  Side positive;
  Side negative;

  explicit Parts(const Histogram& h);

  // Widens the zero bucket to at least `threshold`, further where that falls into a bucket that is
  // not empty.
  void WidenZero(double threshold);
  // The buckets up to `threshold` become part of the zero bucket.
  void SwallowBelow(double threshold);
  void Into(Histogram& h) const;
};

// Brings both to one zero bucket.
void MatchZero(Parts& a, Parts& b);

inline bool SameBounds(const Histogram& a, const Histogram& b) {
  return a.custom_values == b.custom_values;
}
// The bounds both have.
std::vector<double> CommonBounds(const std::vector<double>& a, const std::vector<double>& b);
// The custom buckets of `h` on some of its bounds: each lands at the next one.
Side OntoBounds(const Histogram& h, const Side& side, const std::vector<double>& bounds);

// What the sum of both claims about resets, in `h`; true where one says "reset" and the other "not".
bool CombineHints(Histogram& h, const Histogram& other);

}  // namespace vedette::promql
