#include "agent/collector/collector.h"

#include <algorithm>
#include <cassert>
#include <iterator>

#include "common/base/strings.h"

namespace vedette::agent {

void MetricSink::Family(std::string_view name, MetricType type, std::string_view help) {
  auto at = std::ranges::find(families_, name, &MetricFamily::name);
  current_ = static_cast<size_t>(at - families_.begin());
  if (at != families_.end()) return;
  families_.push_back({.name = std::string(name),
                       .metadata = {.type = type, .help = std::string(help), .unit = {}},
                       .samples = {}});
}

MetricFamily& MetricSink::current() {
  assert(current_ < families_.size() && "Family() comes before Add()");
  return families_[current_];
}

void MetricSink::Add(LabelPairs labels, double value) { AddPart("", labels, value); }

void MetricSink::Add(std::span<const Label> labels, double value) {
  std::vector<Label> all(labels.begin(), labels.end());
  all.push_back({kMetricNameLabel, current().name});
  current().samples.push_back({.labels = Labels::Of(std::move(all)), .value = value});
}

void MetricSink::AddPart(std::string_view suffix, LabelPairs labels, double value) {
  const std::string name = StrCat(current().name, suffix);
  std::vector<Label> all;
  all.reserve(labels.size() + 1);
  for (const auto& [n, v] : labels) all.push_back({n, v});
  all.push_back({kMetricNameLabel, name});
  current().samples.push_back({.labels = Labels::Of(std::move(all)), .value = value});
}

void MetricSink::AddFamily(MetricFamily family) {
  auto at = std::ranges::find(families_, family.name, &MetricFamily::name);
  if (at == families_.end()) {
    current_ = families_.size();
    families_.push_back(std::move(family));
    return;
  }
  current_ = static_cast<size_t>(at - families_.begin());
  std::ranges::move(family.samples, std::back_inserter(at->samples));
}

void MetricSink::Gauge(std::string_view name, std::string_view help, double value) {
  Family(name, MetricType::kGauge, help);
  Add({}, value);
}

void MetricSink::Counter(std::string_view name, std::string_view help, double value) {
  Family(name, MetricType::kCounter, help);
  Add({}, value);
}

std::vector<MetricFamily> MetricSink::Take() {
  current_ = 0;
  return std::exchange(families_, {});
}

}  // namespace vedette::agent
