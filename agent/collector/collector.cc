#include "agent/collector/collector.h"

#include <algorithm>
#include <cassert>
#include <iterator>

#include "common/base/strings.h"

namespace vedette::agent {

void MetricSink::Family(std::string_view name, MetricType type, std::string_view help) {
  // Collectors open the families they just had, over and over.
  if (current_ < families_.size() && families_[current_].name == name) return;
  current_ = Find(name);
  if (current_ < families_.size()) return;
  families_.push_back({.name = std::string(name),
                       .metadata = {.type = type, .help = std::string(help), .unit = {}},
                       .samples = {}});
}

size_t MetricSink::Find(std::string_view name) {
  // Most collectors have few families: to look at each is cheaper than to keep an index.
  constexpr size_t kFew = 64;
  if (families_.size() <= kFew) {
    const auto at = std::ranges::find(families_, name, &MetricFamily::name);
    return static_cast<size_t>(at - families_.begin());
  }
  for (size_t i = index_.size(); i < families_.size(); ++i) index_.emplace(families_[i].name, i);
  const auto at = index_.find(name);
  return at == index_.end() ? families_.size() : at->second;
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
  current_ = Find(family.name);
  if (current_ == families_.size()) {
    families_.push_back(std::move(family));
    return;
  }
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
