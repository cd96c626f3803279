#include "agent/collector/collector.h"

#include <algorithm>
#include <cassert>
#include <iterator>

#include "common/base/strings.h"

namespace vedette::agent {
namespace {

// Few, and mostly in order already. Stable, as the last of two of one name counts.
void SortByName(std::vector<Label>& labels) {
  for (size_t i = 1; i < labels.size(); ++i) {
    for (size_t k = i; k > 0 && labels[k].name < labels[k - 1].name; --k) {
      std::swap(labels[k], labels[k - 1]);
    }
  }
}

bool Same(const Labels& labels, const std::vector<Label>& wanted) {
  auto at = labels.begin();
  for (const Label& label : wanted) {
    if (at == labels.end() || *at != label) return false;
    ++at;
  }
  return at == labels.end();
}

}  // namespace

void MetricSink::Family(std::string_view name, MetricType type, std::string_view help) {
  // Collectors open the families they just had, over and over, and for a second device those of the
  // first in their order.
  if (current_ < opened() && families_[current_].name == name) return;
  if (current_ + 1 < opened() && families_[current_ + 1].name == name) {
    ++current_;
    return;
  }
  const bool as_before = opened() < families_.size() && families_[opened()].name == name;
  if (!as_before) {
    current_ = Find(name);
    if (current_ < opened()) return;
  }
  Open(name);
  Metadata& metadata = current().metadata;
  metadata.type = type;
  if (metadata.help != help) metadata.help = help;
  if (!metadata.unit.empty()) metadata.unit.clear();
}

size_t MetricSink::Find(std::string_view name) {
  // Most collectors have few families: to look at each is cheaper than to keep an index.
  constexpr size_t kFew = 64;
  if (opened() <= kFew) {
    for (size_t i = 0; i < opened(); ++i) {
      if (families_[i].name == name) return i;
    }
    return opened();
  }
  for (size_t i = index_.size(); i < opened(); ++i) index_.emplace(families_[i].name, i);
  const auto at = index_.find(name);
  return at == index_.end() ? opened() : at->second;
}

void MetricSink::Open(std::string_view name) {
  current_ = opened();
  const auto here = families_.begin() + static_cast<std::ptrdiff_t>(current_);
  const auto earlier = std::find_if(here, families_.end(),
                                    [&](const MetricFamily& f) { return f.name == name; });
  if (earlier == families_.end()) {
    MetricFamily first{.name = std::string(name), .metadata = {}, .samples = {}};
    families_.insert(here, std::move(first));
  } else if (earlier != here) {
    std::iter_swap(here, earlier);
  }
  counts_.push_back(0);
}

MetricFamily& MetricSink::current() {
  assert(current_ < opened() && "Family() comes before Add()");
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
  wanted_.clear();
  wanted_.push_back({kMetricNameLabel, name});
  for (const Label& label : labels) {
    if (label.value.empty()) {
      AddBlank(current().name, label.name);
    } else {
      wanted_.push_back(label);
    }
  }
  SortByName(wanted_);
  FamilySample& sample = NextSample();
  if (!Same(sample.labels, wanted_)) sample.labels = Labels::Of(wanted_);
  sample.value = value;
}

FamilySample& MetricSink::NextSample() {
  std::vector<FamilySample>& samples = current().samples;
  const size_t next = counts_[current_]++;
  if (next == samples.size()) return samples.emplace_back();
  // One that went away, such as a device's, must not make all behind it strangers.
  if (next + 1 < samples.size() && !Same(samples[next].labels, wanted_) &&
      Same(samples[next + 1].labels, wanted_)) {
    std::swap(samples[next], samples[next + 1]);
  }
  FamilySample& sample = samples[next];
  if (sample.t_ms || sample.start_ms || sample.histogram != nullptr || !sample.exemplars.empty()) {
    sample = {.labels = std::move(sample.labels)};
  }
  return sample;
}

void MetricSink::AddBlank(std::string_view family, std::string_view label) {
  auto at = blanks_.find(family);
  if (at == blanks_.end()) at = blanks_.emplace(family, std::vector<std::string>()).first;
  if (std::ranges::find(at->second, label) == at->second.end()) at->second.emplace_back(label);
}

void MetricSink::AddBlanks(std::string_view having, const std::vector<std::string>& labels) {
  for (size_t i = 0; i < opened(); ++i) {
    const MetricFamily& family = families_[i];
    if (counts_[i] == 0 || !family.samples[0].labels.Has(having)) continue;
    for (const std::string& label : labels) AddBlank(family.name, label);
  }
}

void MetricSink::AddFamily(MetricFamily family) {
  const bool as_before =
      opened() < families_.size() && families_[opened()].name == family.name;
  current_ = as_before ? opened() : Find(family.name);
  if (current_ == opened()) {
    Open(family.name);
    counts_.back() = family.samples.size();
    current() = std::move(family);
    return;
  }
  std::vector<FamilySample>& samples = current().samples;
  samples.resize(counts_[current_]);
  std::ranges::move(family.samples, std::back_inserter(samples));
  counts_[current_] = samples.size();
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
  for (size_t i = 0; i < opened(); ++i) families_[i].samples.resize(counts_[i]);
  families_.erase(families_.begin() + static_cast<std::ptrdiff_t>(opened()), families_.end());
  current_ = 0;
  counts_.clear();
  index_.clear();
  return std::exchange(families_, {});
}

}  // namespace vedette::agent
