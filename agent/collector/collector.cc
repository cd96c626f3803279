#include "agent/collector/collector.h"

#include <algorithm>
#include <cassert>
#include <iterator>

#include "common/base/strings.h"

namespace vedette::agent {

void MetricSink::Family(std::string_view name, MetricType type, std::string_view help) {
  // Collectors open the families they just had, over and over.
  if (current_ < families_.size() && families_[current_].name == name) return;
  const auto at = index_.find(name);
  if (at != index_.end()) {
    current_ = at->second;
    return;
  }
  current_ = families_.size();
  families_.push_back({.name = std::string(name),
                       .metadata = {.type = type, .help = std::string(help), .unit = {}},
                       .samples = {}});
  index_.emplace(families_.back().name, current_);
}

MetricFamily& MetricSink::current() {
  assert(current_ < families_.size() && "Family() comes before Add()");
  return families_[current_];
}

void MetricSink::Add(LabelPairs labels, double value) { AddPart("", labels, value); }

void MetricSink::Add(std::span<const Label> labels, double value) {
  AddLabels(current().name, labels, value);
}

void MetricSink::AddPart(std::string_view suffix, LabelPairs labels, double value) {
  pairs_.clear();
  for (const auto& [n, v] : labels) pairs_.push_back({n, v});
  if (suffix.empty()) {
    AddLabels(current().name, pairs_, value);
  } else {
    AddLabels(StrCat(current().name, suffix), pairs_, value);
  }
}

void MetricSink::AddLabels(std::string_view name, std::span<const Label> labels, double value) {
  MetricFamily& family = current();
  FamilySample& sample = family.samples.emplace_back();
  sample.value = value;
  std::vector<Label> all;
  all.reserve(labels.size() + 1);
  all.push_back({kMetricNameLabel, name});
  for (const Label& label : labels) {
    if (label.value.empty()) {
      AddBlank(family.name, label.name);
    } else {
      all.push_back(label);
    }
  }
  sample.labels = Labels::Of(std::move(all));
}

void MetricSink::AddBlank(std::string_view family, std::string_view label) {
  auto at = blanks_.find(family);
  if (at == blanks_.end()) at = blanks_.emplace(family, std::vector<std::string>()).first;
  if (std::ranges::find(at->second, label) == at->second.end()) at->second.emplace_back(label);
}

void MetricSink::AddBlanks(std::string_view having, const std::vector<std::string>& labels) {
  for (const MetricFamily& family : families_) {
    if (family.samples.empty() || !family.samples[0].labels.Has(having)) continue;
    for (const std::string& label : labels) AddBlank(family.name, label);
  }
}

void MetricSink::AddFamily(MetricFamily family) {
  const auto at = index_.find(family.name);
  if (at == index_.end()) {
    current_ = families_.size();
    index_.emplace(family.name, current_);
    families_.push_back(std::move(family));
    return;
  }
  current_ = at->second;
  std::ranges::move(family.samples, std::back_inserter(families_[current_].samples));
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
  index_.clear();
  return std::exchange(families_, {});
}

}  // namespace vedette::agent
