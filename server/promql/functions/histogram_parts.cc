#include "server/promql/functions/histogram_parts.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

namespace vedette::promql {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

// The upper bound of an exponential bucket, 2^(index / 2^schema).
double ExponentialBound(int32_t index, int32_t schema) {
  if (schema < 0) {
    const double exponent = std::ldexp(static_cast<double>(index), -schema);
    if (exponent == 1024) return std::numeric_limits<double>::max();
    return exponent > 1024 ? kInf : std::exp2(exponent);
  }
  const int32_t whole = index >> schema;
  const int32_t part = index - (whole << schema);
  if (part == 0 && whole == 1024) return std::numeric_limits<double>::max();
  return std::ldexp(std::exp2(std::ldexp(static_cast<double>(part), -schema)), whole);
}

}  // namespace

Side Unpack(const std::vector<Histogram::Span>& spans, const std::vector<double>& counts) {
  Side out;
  int32_t index = 0;
  size_t k = 0;
  for (const Histogram::Span& s : spans) {
    index += s.offset;
    for (uint32_t i = 0; i < s.length && k < counts.size(); ++i) out[index++] = counts[k++];
  }
  return out;
}

void Pack(const Side& side, std::vector<Histogram::Span>& spans, std::vector<double>& counts) {
  spans.clear();
  counts.clear();
  int32_t next = 0;
  for (const auto& [index, count] : side) {
    if (count == 0) continue;
    if (!spans.empty() && index == next) {
      ++spans.back().length;
    } else {
      spans.push_back({spans.empty() ? index : index - next, 1});
    }
    counts.push_back(count);
    next = index + 1;
  }
}

double UpperBound(const Histogram& h, int32_t index) {
  if (UsesCustomBuckets(h)) {
    if (index < 0) return -kInf;
    const auto i = static_cast<size_t>(index);
    return i < h.custom_values.size() ? h.custom_values[i] : kInf;
  }
  return ExponentialBound(index, h.schema);
}

Side Reduced(const Side& side, int32_t from, int32_t to) {
  if (from <= to) return side;
  Side out;
  for (const auto& [index, count] : side) out[((index - 1) >> (from - to)) + 1] += count;
  return out;
}

Parts::Parts(const Histogram& h)
    : schema(h.schema),
      zero_threshold(h.zero_threshold),
      zero_count(h.zero_count),
      positive(Unpack(h.positive_spans, h.positive_buckets)),
      negative(Unpack(h.negative_spans, h.negative_buckets)) {}

void Parts::WidenZero(double threshold) {
  bool again = true;
  while (again) {
    again = false;
    for (const Side* side : {&positive, &negative}) {
      for (const auto& [index, count] : *side) {
        if (count == 0) continue;
        const double lower = ExponentialBound(index - 1, schema);
        const double upper = ExponentialBound(index, schema);
        if (lower < threshold && upper > threshold) {
          threshold = upper;
          again = true;
        }
      }
    }
  }
  SwallowBelow(threshold);
}

void Parts::SwallowBelow(double threshold) {
  for (Side* side : {&positive, &negative}) {
    for (auto it = side->begin(); it != side->end();) {
      if (ExponentialBound(it->first, schema) <= threshold) {
        zero_count += it->second;
        it = side->erase(it);
      } else {
        ++it;
      }
    }
  }
  zero_threshold = threshold;
}

void Parts::Into(Histogram& h) const {
  h.schema = schema;
  h.zero_threshold = zero_threshold;
  h.zero_count = zero_count;
  Pack(positive, h.positive_spans, h.positive_buckets);
  Pack(negative, h.negative_spans, h.negative_buckets);
}

void MatchZero(Parts& a, Parts& b) {
  while (a.zero_threshold != b.zero_threshold) {
    if (a.zero_threshold > b.zero_threshold) {
      b.WidenZero(a.zero_threshold);
    } else {
      a.WidenZero(b.zero_threshold);
    }
  }
}

std::vector<double> CommonBounds(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> out;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}

Side OntoBounds(const Histogram& h, const Side& side, const std::vector<double>& bounds) {
  Side out;
  for (const auto& [index, count] : side) {
    const double upper = UpperBound(h, index);
    out[static_cast<int32_t>(std::lower_bound(bounds.begin(), bounds.end(), upper) -
                             bounds.begin())] += count;
  }
  return out;
}

bool CombineHints(Histogram& h, const Histogram& other) {
  using Hint = Histogram::ResetHint;
  if (h.reset_hint == other.reset_hint || h.reset_hint == Hint::kGauge) return false;
  if (other.reset_hint == Hint::kGauge) {
    h.reset_hint = Hint::kGauge;
    return false;
  }
  if (h.reset_hint == Hint::kUnknown) return false;
  const bool collision = other.reset_hint != Hint::kUnknown;
  h.reset_hint = Hint::kUnknown;
  return collision;
}

}  // namespace vedette::promql
