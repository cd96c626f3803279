#pragma once

#include <cstdint>
#include <vector>

namespace vedette {

// Histogram is Prometheus' native histogram in its float form, which holds every integer count
// below 2^53 exactly. Bucket counts are absolute (not deltas).
//
// Schemas -4..8: exponential, bucket i of schema s is (2^((i-1)/2^s), 2^(i/2^s)].
// Schema -53: custom bounds, bucket i is (custom_values[i-1], custom_values[i]], the last one +Inf.
struct Histogram {
  // A run of `length` consecutive buckets, `offset` buckets after the end of the run before (the
  // first run: after bucket 0).
  struct Span {
    int32_t offset = 0;
    uint32_t length = 0;
    bool operator==(const Span&) const = default;
  };
  // What the writer knows about a counter reset between the sample before and this one.
  enum class ResetHint : uint8_t { kUnknown, kReset, kNotReset, kGauge };

  static constexpr int32_t kCustomSchema = -53;

  int32_t schema = 0;
  ResetHint reset_hint = ResetHint::kUnknown;
  double zero_threshold = 0;
  double zero_count = 0;
  double count = 0;
  double sum = 0;
  std::vector<Span> positive_spans;
  std::vector<Span> negative_spans;
  std::vector<double> positive_buckets;
  std::vector<double> negative_buckets;
  std::vector<double> custom_values;  // Only with kCustomSchema; without the last bound, +Inf.

  bool operator==(const Histogram&) const = default;
};

}  // namespace vedette
