#include "common/wire/pull_snapshots.h"

#include <utility>

#include "common/model/sample.h"

namespace vedette::wire {

Result<Snapshot> PullSnapshots::Next(std::string_view bytes) {
  VEDETTE_ASSIGN_OR_RETURN(const PullFrame* frame, decoder_.Decode(bytes));
  Snapshot snapshot{.run_id = frame->run_id, .sequence = frame->sequence, .t_ms = frame->t_ms};
  for (const PulledSource& pulled : frame->sources) {
    Layout& layout = layouts_[pulled.state.name];
    if (pulled.layout_reset) layout = {};
    std::vector<size_t> named;  // Of the frame's families, which of ours.
    for (const PulledSource::Family& f : pulled.families) {
      const auto [at, is_new] = layout.by_name.try_emplace(f.name, layout.families.size());
      if (is_new) {
        layout.families.push_back(f);
      } else {
        layout.families[at->second].metadata = f.metadata;
      }
      named.push_back(at->second);
    }
    for (const PulledSource::AddedSeries& a : pulled.added) {
      layout.places.push_back({a.labels, named[a.family]});
    }
    for (const PulledSource::TimeAt& t : pulled.starts) layout.starts[t.position] = t.t_ms;
    std::map<uint32_t, std::vector<Exemplar>> exemplars;
    for (const auto& e : pulled.exemplars) exemplars[e.position].push_back(e.exemplar);
    for (auto& [position, list] : exemplars) layout.exemplars[position] = std::move(list);

    SourceSnapshot source{.state = pulled.state};
    std::vector<MetricFamily> families(layout.families.size());
    size_t histogram = 0, time = 0;
    for (uint32_t p = 0; p < pulled.values.size(); ++p) {
      FamilySample sample{.value = pulled.values[p]};
      if (histogram < pulled.histograms.size() && pulled.histograms[histogram].position == p) {
        sample.histogram = pulled.histograms[histogram++].histogram;
        sample.value = 0;
      }
      if (time < pulled.times.size() && pulled.times[time].position == p) {
        sample.t_ms = pulled.times[time++].t_ms;
      }
      if (sample.histogram == nullptr && IsAbsent(sample.value)) continue;
      const Place& place = layout.places[p];
      sample.labels = place.labels;
      if (const auto at = layout.starts.find(p); at != layout.starts.end()) {
        sample.start_ms = at->second;
      }
      if (const auto at = layout.exemplars.find(p); at != layout.exemplars.end()) {
        sample.exemplars = at->second;
      }
      families[place.family].samples.push_back(std::move(sample));
    }
    for (size_t f = 0; f < families.size(); ++f) {
      if (families[f].samples.empty()) continue;
      families[f].name = layout.families[f].name;
      families[f].metadata = layout.families[f].metadata;
      source.families.push_back(std::move(families[f]));
    }
    snapshot.sources.push_back(std::move(source));
  }
  return snapshot;
}

}  // namespace vedette::wire
