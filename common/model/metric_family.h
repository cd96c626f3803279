#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/model/histogram.h"
#include "common/model/labels.h"

namespace vedette {

enum class MetricType : uint8_t {
  kUnknown,
  kCounter,
  kGauge,
  kSummary,
  kHistogram,
  kGaugeHistogram,
  kInfo,
  kStateSet,
};

// "counter", "gauge", ...: the word in a # TYPE line and in the API. kUnknown is "unknown"
// (text format 0.0.4 writes "untyped").
std::string_view MetricTypeName(MetricType type);
std::optional<MetricType> MetricTypeFromName(std::string_view name);

// What is known about a metric family beside its samples.
struct Metadata {
  MetricType type = MetricType::kUnknown;
  std::string help;
  std::string unit;

  bool operator==(const Metadata&) const = default;
};

// A pointer from a sample to something outside, such as a trace.
struct Exemplar {
  Labels labels;
  double value = 0;
  std::optional<int64_t> t_ms;

  bool operator==(const Exemplar&) const = default;
};

// One line of an exposition. Classic histograms and summaries are flat: their _bucket, _sum, _count
// and quantile lines are samples of the family, each with its whole name in `labels`.
struct FamilySample {
  Labels labels;  // With __name__.
  double value = 0;
  std::optional<int64_t> t_ms;
  std::optional<int64_t> start_ms;             // When the count began (_created).
  std::shared_ptr<const Histogram> histogram;  // Native; `value` then means nothing.
  std::vector<Exemplar> exemplars;
};

// A metric family as a collector makes it and an exposition carries it.
struct MetricFamily {
  std::string name;
  Metadata metadata;
  std::vector<FamilySample> samples;
};

}  // namespace vedette
