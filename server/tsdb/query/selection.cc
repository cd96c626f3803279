#include "server/tsdb/query/selection.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "server/tsdb/store/keys.h"

namespace vedette::tsdb {
namespace {

// Whether all edges of the reader's windows that lie between `begin` and `end` are multiples of the
// resolution: then no stretch of a roll-up is cut by one.
bool Uncut(const storage::SelectHints& hints, int64_t begin, int64_t end, int64_t resolution_ms) {
  const int64_t first = hints.start_ms - 1 + hints.range_ms;
  const int64_t step = hints.step_ms;
  for (const int64_t before : {int64_t{0}, hints.range_ms}) {
    int64_t t = first - before;
    const int64_t last = hints.end_ms - before;
    if (step > 0 && t <= begin) t += ((begin - t) / step + 1) * step;
    while (t > begin && t < end && t <= last) {
      if (t % resolution_ms != 0) return false;
      if (step <= 0 || step % resolution_ms == 0) break;  // So are all the others.
      t += step;
    }
  }
  return true;
}

// The coarsest resolution in which a window may be read; 0: none.
int64_t ResolutionOf(const ReaderParts& parts, int32_t window, int64_t min_t_ms, int64_t max_t_ms,
                     const storage::SelectHints& hints) {
  // A range that the querier has cut has edges that the hints do not tell of.
  if (!hints.takes_rolled || hints.range_ms <= 0 || min_t_ms != hints.start_ms ||
      max_t_ms != hints.end_ms || !parts.store.has(Family::kRollups)) {
    return 0;
  }
  const int64_t begin = window * parts.window_ms;
  for (const int64_t resolution : parts.rollups.resolutions()) {
    if (parts.rollups.Has(resolution, window) &&
        Uncut(hints, begin, begin + parts.window_ms, resolution)) {
      return resolution;
    }
  }
  return 0;
}

int32_t NearWindowOf(int64_t t_ms, int64_t window_ms) {
  constexpr int64_t kFar = int64_t{1} << 50;
  return WindowOf(std::clamp(t_ms, -kFar, kFar), window_ms);
}

}  // namespace

std::shared_ptr<const Selection> Look(const ReaderParts& parts, Moment& moment, int64_t min_t_ms,
                                      int64_t max_t_ms, const storage::SelectHints& hints,
                                      const Postings& selected) {
  auto out = std::make_shared<Selection>();
  if (min_t_ms > max_t_ms) return out;
  out->ids = selected.ToVector();
  // The head first, then the disk: what is sealed in between is seen twice, never not at all.
  out->places_of.reserve(out->ids.size() + 1);
  out->sealed_of.reserve(out->ids.size());
  std::vector<Head::Place> places;
  for (uint32_t id : out->ids) {
    out->places_of.push_back(static_cast<uint32_t>(out->places.size()));
    parts.head.PlacesOf(id, places);
    int64_t sealed = INT64_MIN;
    for (const Head::Place& p : places) {
      auto [it, added] = out->views.try_emplace(p.timeline);
      Selection::Seen& seen = it->second;
      if (added && (seen.view = parts.head.ViewOf(p.timeline)) != nullptr) {
        seen.newest_t_ms = moment.NewestOf(p.timeline, seen.view->newest_t_ms());
      }
      // One that has just left memory: what it had is on disk.
      sealed = std::max(sealed, seen.view ? seen.view->sealed_t_ms : INT64_MAX);
      if (seen.view && !seen.view->empty()) out->places.push_back(p);
    }
    out->sealed_of.push_back(sealed);
  }
  out->places_of.push_back(static_cast<uint32_t>(out->places.size()));
  // After the places: a timeline that left before they were looked at is counted in it.
  out->foreign = parts.head.foreign_t_ms();
  out->snapshot = parts.store.TakeSnapshot();
  for (int32_t window : parts.presence.Windows(NearWindowOf(min_t_ms, parts.window_ms),
                                               NearWindowOf(max_t_ms, parts.window_ms))) {
    Postings present = parts.presence.Among(window, selected);
    if (present.empty()) continue;
    out->windows.push_back({window, std::move(present), parts.histograms.Among(window, selected),
                            ResolutionOf(parts, window, min_t_ms, max_t_ms, hints)});
    out->rollups = out->rollups || out->windows.back().rollup_ms != 0;
  }
  parts.index.MetricsOf(out->ids, out->metrics);
  out->order.resize(out->ids.size());
  for (size_t i = 0; i < out->order.size(); ++i) out->order[i] = static_cast<uint32_t>(i);
  if (hints.sorted) {
    parts.index.LabelsOf(out->ids, out->labels);
    std::ranges::sort(out->order, [&](uint32_t a, uint32_t b) {
      return out->labels[a] < out->labels[b];
    });
  } else {
    // As the chunks lie on disk.
    std::ranges::stable_sort(out->order, {}, [&](uint32_t i) { return out->metrics[i]; });
  }
  return out;
}

bool MayReadRollups(const ReaderParts& parts, int64_t min_t_ms, int64_t max_t_ms,
                    const storage::SelectHints& hints) {
  if (!hints.takes_rolled || !parts.rollups.any()) return false;
  const std::vector<int32_t> windows =
      parts.presence.Windows(NearWindowOf(min_t_ms, parts.window_ms),
                             NearWindowOf(max_t_ms, parts.window_ms));
  return std::ranges::any_of(windows, [&](int32_t window) {
    return ResolutionOf(parts, window, min_t_ms, max_t_ms, hints) != 0;
  });
}

}  // namespace vedette::tsdb
