#include "common/exposition/bounds.h"

#include <optional>
#include <string>
#include <string_view>

#include "common/exposition/number.h"

namespace vedette::exposition {
namespace {

std::string_view BoundOf(MetricType type) {
  switch (type) {
    case MetricType::kHistogram:
    case MetricType::kGaugeHistogram:
      return "le";
    case MetricType::kSummary:
      return "quantile";
    default:
      return {};
  }
}

template <typename Write>
Labels Rewritten(const Labels& labels, MetricType type, Write write) {
  const std::string_view name = BoundOf(type);
  if (name.empty()) return labels;
  const std::string_view text = labels.Get(name);
  const std::optional<double> bound = ParseValue(text);
  if (!bound) return labels;
  std::string wanted;
  write(wanted, *bound);
  if (wanted == text) return labels;
  LabelsBuilder builder(labels);
  builder.Set(name, wanted);
  return builder.Build();
}

}  // namespace

Labels CanonicalBounds(const Labels& labels, MetricType type) {
  return Rewritten(labels, type, AppendCanonicalFloat);
}

Labels ShortBounds(const Labels& labels, MetricType type) {
  return Rewritten(labels, type, AppendValue);
}

}  // namespace vedette::exposition
