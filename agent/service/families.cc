#include "agent/service/families.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace vedette::agent {

namespace {

// Samples of applications, and of databases beyond the first, say which of them they are from.
bool Labelled(const SourceState& state) {
  return state.kind == SourceState::Kind::kApplication ||
         (state.kind == SourceState::Kind::kMysql && state.name != "mysql");
}

}  // namespace

std::optional<std::vector<const MetricFamily*>> BorrowedFamilies(const Snapshot& snapshot) {
  std::vector<const MetricFamily*> out;
  for (const SourceSnapshot& source : snapshot.sources) {
    if (Labelled(source.state) && !source.families.empty()) return std::nullopt;
    for (const MetricFamily& family : source.families) out.push_back(&family);
  }
  std::ranges::sort(out, {}, &MetricFamily::name);
  if (std::ranges::adjacent_find(out, {}, &MetricFamily::name) != out.end()) return std::nullopt;
  return out;
}

std::vector<MetricFamily> MergedFamilies(const Snapshot& snapshot) {
  std::map<std::string_view, MetricFamily> by_name;
  for (const SourceSnapshot& source : snapshot.sources) {
    const bool labelled = Labelled(source.state);
    for (const MetricFamily& family : source.families) {
      auto [at, is_new] = by_name.try_emplace(family.name);
      MetricFamily& out = at->second;
      if (is_new) {
        out.name = family.name;
        out.metadata = family.metadata;
      }
      for (const FamilySample& sample : family.samples) {
        out.samples.push_back(sample);
        if (!labelled || sample.labels.Has("source")) continue;
        LabelsBuilder builder(sample.labels);
        builder.Set("source", source.state.name);
        out.samples.back().labels = builder.Build();
      }
    }
  }
  std::vector<MetricFamily> out;
  out.reserve(by_name.size());
  for (auto& [name, family] : by_name) out.push_back(std::move(family));
  return out;
}

}  // namespace vedette::agent
