// Series that come without a writer of their own: by remote write, OTLP, imports. They live in
// timelines by the instants of their first batch.
#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "common/model/sample.h"
#include "server/tsdb/head/commit.h"
#include "server/tsdb/head/head.h"

namespace vedette::tsdb {
namespace {

constexpr size_t kMaxLooseLayout = 4096;

// One series of a batch and where it belongs.
struct Item {
  uint32_t timeline = 0;
  uint32_t position = 0;
  uint32_t batch = 0;
};

uint64_t InstantsHash(std::span<const Sample> samples) {
  uint64_t h = samples.size();
  for (const Sample& s : samples) h = (h ^ static_cast<uint64_t>(s.t_ms)) * 0x9e3779b97f4a7c15u;
  return h;
}

bool SameInstants(std::span<const Sample> a, std::span<const Sample> b) {
  return std::ranges::equal(a, b, {}, &Sample::t_ms, &Sample::t_ms);
}

bool Ascending(std::span<const Sample> s) {
  for (size_t i = 1; i < s.size(); ++i) {
    if (s[i].t_ms <= s[i - 1].t_ms) return false;
  }
  return true;
}

}  // namespace

std::optional<Head::Place> Head::LoosePlaceOf(uint32_t series) const {
  thread_local std::vector<Place> places;
  PlacesOf(series, places);
  for (const Place& p : places) {
    const std::shared_ptr<Timeline> t = FindTimeline(p.timeline);
    if (t && t->kind == Timeline::Kind::kLoose) return p;
  }
  return std::nullopt;
}

Result<storage::CommitStats> Head::Write(std::span<const storage::SeriesBatch> batch,
                                         std::span<storage::SeriesRef> refs) {
  const UseGate::Use use(gate_);
  return WriteUsing(batch, refs);
}

Result<storage::CommitStats> Head::WriteSamples(std::span<const storage::SeriesRef> refs,
                                                std::span<const Sample> samples) {
  const UseGate::Use use(gate_);
  return WriteSamplesUsing(refs, samples);
}

Result<storage::CommitStats> Head::WriteUsing(std::span<const storage::SeriesBatch> batch,
                                              std::span<storage::SeriesRef> refs)
    VEDETTE_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
  Commit commit;
  thread_local std::vector<uint32_t> series;  // Of each of the batch; UINT32_MAX: refused.
  thread_local std::vector<Item> items;
  series.assign(batch.size(), SeriesIndex::kUnknown);
  items.clear();
  std::vector<uint32_t> unnamed;  // Without a ref: looked up by their labels.
  if (refs.empty()) {
    index_.FindMany(
        batch.size(), [&](size_t i) -> const Labels& { return batch[i].labels; }, series);
  } else {
    const uint32_t known = index_.size();
    for (uint32_t i = 0; i < batch.size(); ++i) {
      if (refs[i] == 0) {
        unnamed.push_back(i);
      } else if (refs[i] > known || GivenUp(static_cast<uint32_t>(refs[i] - 1))) {
        return NotFound(StrCat("the storage knows no series ", refs[i]));
      } else {
        series[i] = static_cast<uint32_t>(refs[i] - 1);
      }
    }
    if (!unnamed.empty()) {
      std::vector<uint32_t> found;
      index_.FindMany(
          unnamed.size(), [&](size_t i) -> const Labels& { return batch[unnamed[i]].labels; },
          found);
      for (size_t i = 0; i < unnamed.size(); ++i) series[unnamed[i]] = found[i];
    }
  }
  auto labels_of = [&](uint32_t i) {
    return batch[i].labels.empty() ? index_.LabelsOf(series[i]) : batch[i].labels;
  };
  std::map<std::pair<std::string, uint64_t>, std::shared_ptr<Timeline>> made;
  uint32_t last_loose = 0;  // The timeline of the series before is likely that of the next.
  for (uint32_t i = 0; i < batch.size(); ++i) {
    const storage::SeriesBatch& b = batch[i];
    std::optional<Place> place;
    if (series[i] != SeriesIndex::kUnknown) {
      const Place first = FirstPlaceOf(series[i]);
      if (first.timeline != 0 && first.timeline == last_loose) {
        place = first;
      } else {
        place = LoosePlaceOf(series[i]);
      }
    }
    if (b.samples.empty()) {
      bool added;
      if (series[i] == SeriesIndex::kUnknown) series[i] = index_.FindOrAdd(b.labels, &added);
      continue;
    }
    if (!place) {
      const Labels labels = labels_of(i);
      const std::string owner(labels.Get("job"));
      if (!Charge(owner).ok()) {
        commit.stats.series_limit += b.samples.size() + b.histograms.size();
        commit.stats.refused_histograms += b.histograms.size();
        series[i] = UINT32_MAX;
        continue;
      }
      bool added;
      if (series[i] == SeriesIndex::kUnknown) series[i] = index_.FindOrAdd(labels, &added);
      // Two of one label set in the same batch: the first one made the place.
      place = LoosePlaceOf(series[i]);
      if (place) {
        Uncharge(owner, 1);
      } else {
        std::shared_ptr<Timeline>& t = made[{owner, InstantsHash(b.samples)}];
        if (t) {
          MutexLock lock(t->commit_mu);
          if (t->layout.size() >= kMaxLooseLayout) t = nullptr;
        }
        if (!t) {
          VEDETTE_ASSIGN_OR_RETURN(t, NewTimeline(owner, Timeline::Kind::kLoose));
        }
        MutexLock lock(t->commit_mu);
        t->last_commit_ms = clock_.NowMs();
        place = Place{t->id, static_cast<uint32_t>(t->layout.size())};
        t->layout.push_back(series[i]);
        AddPlace(series[i], *place);
      }
    }
    last_loose = place->timeline;
    items.push_back({place->timeline, place->position, i});
  }
  auto by_timeline = [](const Item& a, const Item& b) { return a.timeline < b.timeline; };
  if (!std::ranges::is_sorted(items, by_timeline)) std::ranges::stable_sort(items, by_timeline);

  // All locks in the order of ids, so that two batches never wait for each other.
  std::vector<std::shared_ptr<Timeline>> locked;
  bool again = false;
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0 && items[i].timeline == items[i - 1].timeline) continue;
    std::shared_ptr<Timeline> t = FindTimeline(items[i].timeline);
    if (!t) {
      again = true;
      break;
    }
    t->commit_mu.Lock();
    locked.push_back(t);
    again = again || t->dropped;
  }
  auto unlock = [&]() VEDETTE_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
    for (const std::shared_ptr<Timeline>& t : locked) t->commit_mu.Unlock();
    locked.clear();
  };
  if (again) {  // One was sealed away in between: rare, and it will be made anew.
    unlock();
    return WriteUsing(batch, refs);
  }

  Status status;
  std::vector<double> row;
  std::vector<std::pair<int64_t, std::pair<uint32_t, double>>> loose;
  size_t next = 0;
  for (const std::shared_ptr<Timeline>& t : locked) {
    const size_t begin = next;
    while (next < items.size() && items[next].timeline == t->id) ++next;
    const std::span<const Item> own = std::span(items).subspan(begin, next - begin);
    const std::span<const Sample> first = batch[own[0].batch].samples;
    bool aligned = Ascending(first);
    for (size_t i = 1; aligned && i < own.size(); ++i) {
      aligned =
          own[i].position > own[i - 1].position && SameInstants(first, batch[own[i].batch].samples);
    }
    if (aligned) {
      for (size_t k = 0; status.ok() && k < first.size(); ++k) {
        if (!TimeAllowed(first[k].t_ms, own.size(), commit.stats)) continue;
        row.assign(t->layout.size(), kAbsent);
        for (const Item& item : own) row[item.position] = batch[item.batch].samples[k].value;
        status = StageRow(commit, *t, first[k].t_ms, row, false);
      }
    } else {
      loose.clear();
      for (const Item& item : own) {
        for (const Sample& s : batch[item.batch].samples) {
          if (TimeAllowed(s.t_ms, 1, commit.stats)) {
            loose.push_back({s.t_ms, {item.position, s.value}});
          }
        }
      }
      std::ranges::stable_sort(loose, {}, &decltype(loose)::value_type::first);
      for (size_t i = 0; status.ok() && i < loose.size();) {
        row.assign(t->layout.size(), kAbsent);
        const int64_t t_ms = loose[i].first;
        // The same series twice at one instant: the second goes into a row of its own.
        while (i < loose.size() && loose[i].first == t_ms && IsAbsent(row[loose[i].second.first])) {
          row[loose[i].second.first] = loose[i].second.second;
          ++i;
        }
        status = StageRow(commit, *t, t_ms, row, false);
      }
    }
    if (!status.ok()) break;
  }
  for (uint32_t i = 0; status.ok() && i < batch.size(); ++i) {
    if (series[i] == UINT32_MAX) continue;
    for (const auto& h : batch[i].histograms) {
      if (!TimeAllowed(h.t_ms, 1, commit.stats)) {
        ++commit.stats.refused_histograms;
        continue;
      }
      status = StageHistogram(commit, series[i], h.t_ms, *h.histogram, false);
      if (!status.ok()) break;
    }
    for (const Exemplar& e : batch[i].exemplars) {
      commit.stats.exemplars += exemplars_.Add(labels_of(i), e, commit.batch);
    }
  }
  if (status.ok()) status = Flush(commit);
  if (!status.ok()) Abandon(commit);
  unlock();
  if (!status.ok()) return status;
  for (uint32_t i : unnamed) refs[i] = series[i] == UINT32_MAX ? 0 : uint64_t{series[i]} + 1;
  Count(commit.stats);
  return commit.stats;
}

Result<storage::CommitStats> Head::WriteSamplesUsing(std::span<const storage::SeriesRef> refs,
                                                     std::span<const Sample> samples)
    VEDETTE_THREAD_ATTRIBUTE(no_thread_safety_analysis) {
  // Neighbours that are of one timeline and one instant: a part of its next row.
  struct Run {
    uint32_t timeline = 0;
    size_t begin = 0;
    size_t end = 0;
  };
  const auto one_by_one = [&] {
    std::vector<storage::SeriesBatch> batch(refs.size());
    for (size_t i = 0; i < batch.size(); ++i) batch[i].samples = samples.subspan(i, 1);
    std::vector<storage::SeriesRef> known(refs.begin(), refs.end());
    return WriteUsing(batch, known);
  };
  thread_local std::vector<uint32_t> positions;
  thread_local std::vector<Run> runs;
  positions.resize(refs.size());
  runs.clear();
  const uint32_t known = index_.size();
  for (size_t i = 0; i < refs.size(); ++i) {
    if (refs[i] == 0 || refs[i] > known) {
      return NotFound(StrCat("the storage knows no series ", refs[i]));
    }
    const auto series = static_cast<uint32_t>(refs[i] - 1);
    Place place = FirstPlaceOf(series);
    if (runs.empty() || place.timeline != runs.back().timeline) {
      const std::optional<Place> loose = LoosePlaceOf(series);
      if (!loose) return one_by_one();
      place = *loose;
      if (runs.empty() || place.timeline != runs.back().timeline) {
        runs.push_back({place.timeline, i, i});
      }
    }
    if (i > runs.back().begin &&
        (place.position <= positions[i - 1] || samples[i].t_ms != samples[i - 1].t_ms)) {
      return one_by_one();
    }
    positions[i] = place.position;
    runs.back().end = i + 1;
  }
  // All locks in the order of ids, as in Write().
  std::ranges::sort(runs, {}, &Run::timeline);
  bool rows = std::ranges::adjacent_find(runs, {}, &Run::timeline) == runs.end();
  std::vector<std::shared_ptr<Timeline>> locked;
  for (const Run& run : runs) {
    if (!rows) break;
    std::shared_ptr<Timeline> t = FindTimeline(run.timeline);
    if (!t) {
      rows = false;
      break;
    }
    t->commit_mu.Lock();
    rows = !t->dropped;
    locked.push_back(std::move(t));
  }
  Commit commit;
  Status status;
  thread_local std::vector<double> row;
  for (size_t r = 0; rows && status.ok() && r < runs.size(); ++r) {
    const Run& run = runs[r];
    Timeline& t = *locked[r];
    const int64_t t_ms = samples[run.begin].t_ms;
    if (!TimeAllowed(t_ms, run.end - run.begin, commit.stats)) continue;
    row.assign(t.layout.size(), kAbsent);
    for (size_t i = run.begin; i < run.end; ++i) row[positions[i]] = samples[i].value;
    status = StageRow(commit, t, t_ms, row, /*backfill=*/false);
  }
  if (rows && status.ok()) status = Flush(commit);
  if (!status.ok()) Abandon(commit);
  for (const std::shared_ptr<Timeline>& t : locked) t->commit_mu.Unlock();
  if (!rows) return one_by_one();
  if (!status.ok()) return status;
  Count(commit.stats);
  return commit.stats;
}

}  // namespace vedette::tsdb
