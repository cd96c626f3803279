#include "server/scrape/nhcb.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/exposition/number.h"
#include "common/model/histogram.h"
#include "common/model/labels.h"

namespace vedette::scrape {
namespace {

// One classic histogram while its lines are gathered.
struct Classic {
  Labels labels;  // Without le, under the family's name.
  std::map<double, double> buckets;  // By upper bound, cumulative.
  std::optional<double> sum, count;
  std::optional<int64_t> t_ms;
  std::vector<Exemplar> exemplars;
  std::vector<size_t> lines;  // In family.samples.
};

std::shared_ptr<const Histogram> ToNative(const Classic& classic) {
  const double infinite = std::numeric_limits<double>::infinity();
  const auto last = classic.buckets.find(infinite);
  if (last == classic.buckets.end() && !classic.count) return nullptr;
  auto native = std::make_shared<Histogram>();
  native->schema = Histogram::kCustomSchema;
  native->count = last != classic.buckets.end() ? last->second : *classic.count;
  native->sum = classic.sum.value_or(0);
  double before = 0;
  for (const auto& [bound, cumulative] : classic.buckets) {
    if (std::isnan(bound) || !(cumulative >= before)) return nullptr;
    if (bound != infinite) native->custom_values.push_back(bound);
    native->positive_buckets.push_back(cumulative - before);
    before = cumulative;
  }
  if (last == classic.buckets.end()) {
    if (native->count < before) return nullptr;
    native->positive_buckets.push_back(native->count - before);
  }
  // Only buckets with something in them are kept, as native histograms are.
  std::vector<double> kept;
  int32_t expected = 0;
  for (size_t i = 0; i < native->positive_buckets.size(); ++i) {
    if (native->positive_buckets[i] == 0) continue;
    const auto index = static_cast<int32_t>(i);
    if (native->positive_spans.empty() || index != expected) {
      native->positive_spans.push_back({index - expected, 0});
    }
    ++native->positive_spans.back().length;
    kept.push_back(native->positive_buckets[i]);
    expected = index + 1;
  }
  native->positive_buckets = std::move(kept);
  return native;
}

}  // namespace

void ConvertClassicHistograms(MetricFamily& family, bool keep_classic) {
  if (family.metadata.type != MetricType::kHistogram) return;
  static const std::vector<std::string> kNotIdentity = {"le", std::string(kMetricNameLabel)};
  std::map<std::string, Classic> by_labels;
  for (size_t i = 0; i < family.samples.size(); ++i) {
    const FamilySample& sample = family.samples[i];
    if (sample.histogram != nullptr) continue;
    const std::string_view name = sample.labels.metric_name();
    if (!name.starts_with(family.name)) continue;
    const std::string_view suffix = name.substr(family.name.size());
    const Labels rest = sample.labels.Without(kNotIdentity);
    Classic& classic = by_labels[std::string(rest.bytes())];
    if (classic.lines.empty()) {
      LabelsBuilder labels(rest);
      labels.Set(kMetricNameLabel, family.name);
      classic.labels = labels.Build();
    }
    if (suffix == "_bucket") {
      const std::optional<double> bound = exposition::ParseValue(sample.labels.Get("le"));
      if (!bound) continue;
      classic.buckets[*bound] = sample.value;
      for (const Exemplar& e : sample.exemplars) classic.exemplars.push_back(e);
    } else if (suffix == "_sum") {
      classic.sum = sample.value;
    } else if (suffix == "_count") {
      classic.count = sample.value;
    } else {
      continue;
    }
    if (sample.t_ms) classic.t_ms = sample.t_ms;
    classic.lines.push_back(i);
  }
  std::vector<bool> gone(family.samples.size(), false);
  std::vector<FamilySample> natives;
  for (auto& [key, classic] : by_labels) {
    std::shared_ptr<const Histogram> native = ToNative(classic);
    if (native == nullptr) continue;
    if (!keep_classic) {
      for (const size_t line : classic.lines) gone[line] = true;
    }
    natives.push_back({.labels = std::move(classic.labels),
                       .t_ms = classic.t_ms,
                       .histogram = std::move(native),
                       .exemplars = std::move(classic.exemplars)});
  }
  std::vector<FamilySample> samples = std::move(natives);
  for (size_t i = 0; i < gone.size(); ++i) {
    if (!gone[i]) samples.push_back(std::move(family.samples[i]));
  }
  family.samples = std::move(samples);
}

}  // namespace vedette::scrape
