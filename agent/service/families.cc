#include "agent/service/families.h"

#include <map>
#include <string>
#include <utility>

namespace vedette::agent {

std::vector<MetricFamily> MergedFamilies(const Snapshot& snapshot) {
  std::map<std::string_view, MetricFamily> by_name;
  for (const SourceSnapshot& source : snapshot.sources) {
    const bool labelled =
        source.state.kind == SourceState::Kind::kApplication ||
        (source.state.kind == SourceState::Kind::kMysql && source.state.name != "mysql");
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
