#include "common/model/metric_family.h"

#include <array>

namespace vedette {
namespace {

constexpr std::array<std::string_view, 8> kNames = {
    "unknown", "counter", "gauge", "summary", "histogram", "gaugehistogram", "info", "stateset"};

}  // namespace

std::string_view MetricTypeName(MetricType type) { return kNames[static_cast<size_t>(type)]; }

std::optional<MetricType> MetricTypeFromName(std::string_view name) {
  if (name == "untyped") return MetricType::kUnknown;
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<MetricType>(i);
  }
  return std::nullopt;
}

}  // namespace vedette
