#include "server/tsdb/query/column_cache.h"

#include <algorithm>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "common/model/sample.h"
#include "server/tsdb/query/kept_columns.h"
#include "server/tsdb/store/keys.h"

namespace vedette::tsdb {
namespace {

// How far before the newest sample a range may end that is still about now: a rule's query_offset,
// a scrape with a clock that is ahead.
constexpr int64_t kNowMs = 30 * 60'000;
// More of the past than was asked: the next one who asks may be a little earlier.
constexpr int64_t kSlackMs = 60'000;
// Askers that are remembered before a selection is worth keeping.
constexpr size_t kMaxAsked = 1 << 14;
// Columns grow by a quarter, and at least by so many instants.
constexpr size_t kMinRoom = 32;
constexpr size_t kEntryBytes = 512;
constexpr uint32_t kMaxPause = 256;

std::string KeyOf(std::span<const Matcher> matchers) {
  std::string key;
  for (const Matcher& m : matchers) {
    key.push_back(static_cast<char>(m.op()));
    for (std::string_view text : {std::string_view(m.name()), std::string_view(m.value())}) {
      const uint32_t size = static_cast<uint32_t>(text.size());
      key.append(reinterpret_cast<const char*>(&size), sizeof size);
      key += text;
    }
  }
  return key;
}

}  // namespace

// What is kept for one list of matchers.
class ColumnCache::Selection {
 public:
  enum class Outcome : uint8_t { kHit, kFilled, kNone };

  // `bytes` is set to what the selection takes now.
  std::shared_ptr<const KeptView> View(const ReaderParts& parts, int64_t min, int64_t max,
                                       std::span<const Matcher> matchers, size_t max_bytes,
                                       Outcome* outcome, size_t* bytes) VEDETTE_EXCLUDES(mu_) {
    MutexLock lock(mu_);
    *outcome = Outcome::kNone;
    *bytes = bytes_;
    if (pause_ > 0) {
      --pause_;
      return nullptr;
    }
    span_ms_ = std::max(span_ms_, max - min);
    if (view_ != nullptr && min >= from_ms_ && Extend(parts, max, matchers)) {
      *outcome = Outcome::kHit;
      next_pause_ = 1;
    } else {
      // What never lives long enough to be used again is tried less and less often.
      if (view_ == nullptr || hits_ == 0) {
        pause_ = next_pause_ - 1;
        next_pause_ = std::min(next_pause_ * 2, kMaxPause);
      }
      view_ = nullptr;
      if (!Fill(parts, min - kSlackMs, matchers, max_bytes)) {
        Forget();
        *bytes = bytes_;
        return nullptr;
      }
      *outcome = Outcome::kFilled;
      hits_ = 0;
    }
    if (*outcome == Outcome::kHit) ++hits_;
    bytes_ = kEntryBytes + label_bytes_ + ids_.size() * (sizeof(KeptSeries) + 12);
    for (const Track& t : tracks_) bytes_ += t.columns->bytes();
    std::shared_ptr<const KeptView> shown = view_;
    // What was small when a server had just begun grows as its past does.
    if (bytes_ > max_bytes) Forget();
    *bytes = bytes_;
    return shown;
  }

 private:
  struct Track {
    uint32_t timeline = 0;  // 0: of none that is in memory, so it never grows.
    std::vector<uint32_t> positions;
    int64_t absorbed_t_ms = INT64_MIN;  // The newest row of the timeline that is in it.
    uint64_t view_version = 0;
    std::shared_ptr<KeptColumns> columns;
    size_t size = 0;
  };

  // Numbers that grow when something happens that Extend cannot follow.
  struct Versions {
    uint64_t rewrites = 0, removals = 0, histograms = 0, places = 0;
    uint32_t series = 0;
    static Versions Of(const ReaderParts& parts) {
      return {parts.head.rewrites(), parts.presence.removals(), parts.histograms.additions(),
              parts.head.places_version(), parts.index.size()};
    }
  };

  static bool HasHistograms(const ReaderParts& parts, int64_t from_ms, const Postings& selected) {
    constexpr int64_t kFar = int64_t{1} << 50;
    const int32_t first = WindowOf(std::clamp(from_ms, -kFar, kFar), parts.window_ms);
    for (int32_t window : parts.histograms.Windows(first, INT32_MAX)) {
      if (!parts.histograms.Among(window, selected).empty()) return true;
    }
    return false;
  }

  void Forget() VEDETTE_REQUIRES(mu_) {
    view_ = nullptr;
    tracks_.clear();
    ids_.clear();
    span_ms_ = 0;
    bytes_ = kEntryBytes;
  }

  // The one place of a series; false where it has several.
  static bool PlaceOf(const ReaderParts& parts, uint32_t series, Head::Place& place) {
    thread_local std::vector<Head::Place> places;
    parts.head.PlacesOf(series, places);
    place = places.empty() ? Head::Place{} : places[0];
    return places.size() <= 1;
  }

  bool Extend(const ReaderParts& parts, int64_t max, std::span<const Matcher> matchers)
      VEDETTE_REQUIRES(mu_) {
    // Before anything is looked at: what happens meanwhile is found the next time.
    const Versions now = Versions::Of(parts);
    if (now.rewrites != versions_.rewrites || now.removals != versions_.removals) return false;
    if (now.series != versions_.series || now.histograms != versions_.histograms) {
      const Postings selected = parts.index.Select(matchers);
      if (selected.ToVector() != ids_ || HasHistograms(parts, from_ms_, selected)) return false;
    }
    if (now.places != versions_.places) {
      for (size_t i = 0; i < ids_.size(); ++i) {
        Head::Place place;
        if (!PlaceOf(parts, ids_[i], place) || place.timeline != places_[i].timeline ||
            place.position != places_[i].position) {
          return false;
        }
      }
    }
    versions_ = now;
    bool grown = false;
    for (Track& track : tracks_) {
      if (track.timeline == 0) continue;
      const std::shared_ptr<const TimelineView> view = parts.head.ViewOf(track.timeline);
      if (view == nullptr) return false;
      if (view->version == track.view_version) continue;
      // Rows have left memory before they were seen here.
      if (view->sealed_t_ms > track.absorbed_t_ms) return false;
      if (!Append(track, *view, max)) return false;
      track.view_version = view->version;
      grown = true;
    }
    if (grown) Publish();
    return true;
  }

  // Takes the rows of the timeline that are newer than those it has.
  bool Append(Track& track, const TimelineView& view, int64_t max) VEDETTE_REQUIRES(mu_) {
    const int64_t after = track.absorbed_t_ms;
    size_t more = 0;
    for (const auto& b : view.blocks) {
      more += static_cast<size_t>(b->instants().end() -
                                  std::ranges::upper_bound(b->instants(), after));
    }
    for (const auto& r : view.rows) more += r->t_ms > after;
    if (more == 0) return true;
    if (track.size + more > track.columns->capacity()) MakeRoom(track, more, max);
    KeptColumns& to = *track.columns;
    size_t n = track.size;
    std::vector<double> column;
    for (const auto& b : view.blocks) {
      const std::vector<int64_t>& t = b->instants();
      const auto first = static_cast<size_t>(std::ranges::upper_bound(t, after) - t.begin());
      if (first == t.size()) continue;
      std::copy(t.begin() + static_cast<ptrdiff_t>(first), t.end(), to.t_ms() + n);
      column.resize(t.size());
      for (size_t s = 0; s < track.positions.size(); ++s) {
        if (!b->Decode(track.positions[s], column)) return false;
        for (size_t i = first; i < t.size(); ++i) to.Set(s, n + i - first, column[i]);
      }
      n += t.size() - first;
    }
    for (const auto& r : view.rows) {
      if (r->t_ms <= after) continue;
      to.t_ms()[n] = r->t_ms;
      for (size_t s = 0; s < track.positions.size(); ++s) to.Set(s, n, r->at(track.positions[s]));
      ++n;
    }
    track.size = n;
    track.absorbed_t_ms = to.t_ms()[n - 1];
    return true;
  }

  // Larger columns, without what nobody asks for any more. Readers keep the old ones.
  void MakeRoom(Track& track, size_t more, int64_t max) VEDETTE_REQUIRES(mu_) {
    const int64_t keep_from = std::max(from_ms_, max - span_ms_ - kSlackMs);
    const KeptColumns& old = *track.columns;
    const std::span<const int64_t> t(old.t_ms(), track.size);
    const auto first = static_cast<size_t>(std::ranges::lower_bound(t, keep_from) - t.begin());
    if (first > 0) from_ms_ = keep_from;
    const size_t kept = track.size - first;
    auto wider = std::make_shared<KeptColumns>(
        old.series(), kept + more + std::max(kMinRoom, (kept + more) / 4));
    std::copy(t.begin() + static_cast<ptrdiff_t>(first), t.end(), wider->t_ms());
    for (size_t s = 0; s < old.series(); ++s) {
      const double* from = old.column(s);
      if (old.marks(s) == 0) {
        std::copy(from + first, from + track.size, wider->column(s));
      } else {
        for (size_t i = first; i < track.size; ++i) wider->Set(s, i - first, from[i]);
      }
    }
    track.columns = std::move(wider);
    track.size = kept;
  }

  // Reads everything from `from_ms` on.
  bool Fill(const ReaderParts& parts, int64_t from_ms, std::span<const Matcher> matchers,
            size_t max_bytes) VEDETTE_REQUIRES(mu_) {
    versions_ = Versions::Of(parts);
    const Postings selected = parts.index.Select(matchers);
    // Labels and a few samples of each: what that takes is known beforehand.
    if (selected.size() * 256 > max_bytes || HasHistograms(parts, from_ms, selected)) return false;
    ids_ = selected.ToVector();
    places_.assign(ids_.size(), {});
    for (size_t i = 0; i < ids_.size(); ++i) {
      if (!PlaceOf(parts, ids_[i], places_[i])) return false;
    }
    Moment now;  // All that there is: others than this query will ask for it.
    const std::unique_ptr<SeriesReader> reader =
        ReadSeries(parts, now, from_ms, INT64_MAX, {}, selected);
    struct Read {
      std::shared_ptr<const std::vector<int64_t>> t_ms;
      std::vector<double> values;
    };
    std::unordered_map<uint32_t, Read> read;
    std::shared_ptr<const std::vector<int64_t>> last_t;
    size_t bytes = 0;
    while (reader->Next()) {
      const storage::SeriesColumns& c = reader->at();
      if (!c.histograms.empty()) return false;
      if (last_t == nullptr || !std::ranges::equal(*last_t, c.t_ms)) {
        last_t = std::make_shared<const std::vector<int64_t>>(c.t_ms.begin(), c.t_ms.end());
      }
      read[reader->series()] = {last_t, {c.values.begin(), c.values.end()}};
      bytes += c.values.size() * sizeof(double) + c.labels.bytes().size() + sizeof(KeptSeries);
      if (bytes > max_bytes) return false;
    }
    // What is damaged is said each time, so it is read each time. Places may have changed between
    // the two looks at them.
    if (!reader->status().ok() || !reader->warnings().empty() ||
        parts.head.places_version() != versions_.places) {
      return false;
    }

    struct Gathered {
      std::vector<uint32_t> members;  // Of `shown`.
      std::vector<int64_t> t_ms;
    };
    struct Shown {
      uint32_t id = 0;
      Head::Place place;
    };
    std::vector<Shown> shown;
    std::vector<Gathered> gathered;
    std::vector<KeptSeries> series;
    tracks_.clear();
    std::unordered_map<uint32_t, uint32_t> track_of;  // By timeline.
    for (uint32_t id : reader->InOrder()) {
      const auto at = static_cast<size_t>(std::ranges::lower_bound(ids_, id) - ids_.begin());
      const Head::Place place = places_[at];
      const auto found = read.find(id);
      if (place.timeline == 0 && found == read.end()) continue;
      uint32_t track = static_cast<uint32_t>(tracks_.size());
      if (place.timeline != 0) track = track_of.try_emplace(place.timeline, track).first->second;
      if (track == tracks_.size()) {
        gathered.emplace_back();
        Track& t = tracks_.emplace_back();
        t.timeline = place.timeline;
        if (t.timeline != 0) {
          const std::shared_ptr<const TimelineView> view = reader->view(t.timeline);
          if (view == nullptr) return false;
          t.view_version = view->version;
          t.absorbed_t_ms = view->newest_t_ms();
        }
      }
      Gathered& g = gathered[track];
      series.push_back({.track = track, .column = static_cast<uint32_t>(g.members.size())});
      g.members.push_back(static_cast<uint32_t>(shown.size()));
      tracks_[track].positions.push_back(place.position);
      shown.push_back({id, place});
      if (found != read.end() && g.t_ms != *found->second.t_ms) {
        std::vector<int64_t> both;
        std::ranges::set_union(g.t_ms, *found->second.t_ms, std::back_inserter(both));
        g.t_ms = std::move(both);
      }
    }
    bytes = 0;
    for (size_t k = 0; k < tracks_.size(); ++k) {
      Track& t = tracks_[k];
      const Gathered& g = gathered[k];
      // From elsewhere, and newer than the timeline: nobody would find it again.
      if (t.timeline != 0 && !g.t_ms.empty() && g.t_ms.back() > t.absorbed_t_ms) return false;
      const size_t room = t.timeline == 0 ? 0 : std::max(kMinRoom, g.t_ms.size() / 4);
      bytes += (g.members.size() + 1) * (g.t_ms.size() + room) * sizeof(double);
      if (bytes > max_bytes) return false;
      t.columns = std::make_shared<KeptColumns>(g.members.size(), g.t_ms.size() + room);
      t.size = g.t_ms.size();
      std::ranges::copy(g.t_ms, t.columns->t_ms());
      for (size_t s = 0; s < g.members.size(); ++s) {
        const auto found = read.find(shown[g.members[s]].id);
        size_t next = 0;
        for (size_t i = 0; i < g.t_ms.size(); ++i) {
          double value = kAbsent;
          if (found != read.end() && next < found->second.values.size() &&
              (*found->second.t_ms)[next] == g.t_ms[i]) {
            value = found->second.values[next++];
          }
          t.columns->Set(s, i, value);
        }
      }
    }
    std::vector<uint32_t> ids;
    for (const Shown& s : shown) ids.push_back(s.id);
    std::vector<Labels> labels;
    parts.index.LabelsOf(ids, labels);
    label_bytes_ = 0;
    for (size_t i = 0; i < labels.size(); ++i) {
      series[i].labels = std::move(labels[i]);
      label_bytes_ += series[i].labels.bytes().size();
    }
    series_ = std::make_shared<const std::vector<KeptSeries>>(std::move(series));
    from_ms_ = from_ms;
    Publish();
    return true;
  }

  void Publish() VEDETTE_REQUIRES(mu_) {
    auto view = std::make_shared<KeptView>();
    view->series = series_;
    view->tracks.reserve(tracks_.size());
    for (const Track& t : tracks_) {
      view->tracks.push_back({t.columns, t.size, t.timeline, t.absorbed_t_ms});
    }
    view_ = std::move(view);
  }

  Mutex mu_;
  Versions versions_ VEDETTE_GUARDED_BY(mu_);
  std::vector<uint32_t> ids_ VEDETTE_GUARDED_BY(mu_);        // All that match, ascending,
  std::vector<Head::Place> places_ VEDETTE_GUARDED_BY(mu_);  // and where each is in memory.
  std::vector<Track> tracks_ VEDETTE_GUARDED_BY(mu_);
  std::shared_ptr<const std::vector<KeptSeries>> series_ VEDETTE_GUARDED_BY(mu_);
  std::shared_ptr<const KeptView> view_ VEDETTE_GUARDED_BY(mu_);  // Null: nothing is kept.
  int64_t from_ms_ VEDETTE_GUARDED_BY(mu_) = 0;  // Whole from here on.
  int64_t span_ms_ VEDETTE_GUARDED_BY(mu_) = 0;  // The longest range that is asked.
  size_t label_bytes_ VEDETTE_GUARDED_BY(mu_) = 0;
  size_t bytes_ VEDETTE_GUARDED_BY(mu_) = kEntryBytes;
  uint64_t hits_ VEDETTE_GUARDED_BY(mu_) = 0;  // Since it was filled.
  uint32_t pause_ VEDETTE_GUARDED_BY(mu_) = 0;
  uint32_t next_pause_ VEDETTE_GUARDED_BY(mu_) = 1;
};

ColumnCache::~ColumnCache() = default;

std::unique_ptr<storage::SeriesSet> ColumnCache::Select(const ReaderParts& parts, Moment& moment,
                                                        int64_t min_t_ms, int64_t max_t_ms,
                                                        std::span<const Matcher> matchers) {
  // No sample is further away; spans between ends such as these can be counted.
  constexpr int64_t kFarMs = int64_t{1} << 52;
  min_t_ms = std::clamp(min_t_ms, -kFarMs, kFarMs);
  max_t_ms = std::clamp(max_t_ms, -kFarMs, kFarMs);
  const int64_t newest = parts.head.max_t_ms();
  if (max_bytes_ == 0 || newest == INT64_MIN || max_t_ms < newest - kNowMs) return nullptr;
  std::string key = KeyOf(matchers);
  const std::shared_ptr<Selection> selection = Find(key);
  if (selection == nullptr) {
    ++misses_;
    return nullptr;
  }
  Selection::Outcome outcome;
  size_t bytes = 0;
  std::shared_ptr<const KeptView> view =
      selection->View(parts, min_t_ms, max_t_ms, matchers, max_bytes_ / 4, &outcome, &bytes);
  Account(*selection, key, bytes);
  ++(outcome == Selection::Outcome::kHit      ? hits_
     : outcome == Selection::Outcome::kFilled ? fills_
                                              : misses_);
  if (view == nullptr) return nullptr;
  // By track. Null as long as nothing is newer than the moment.
  std::shared_ptr<std::vector<int64_t>> shown_to;
  for (size_t k = 0; k < view->tracks.size(); ++k) {
    const KeptView::Track& track = view->tracks[k];
    if (track.timeline == 0) continue;
    const int64_t seen = moment.NewestOf(track.timeline, track.newest_t_ms);
    if (seen >= track.newest_t_ms) continue;
    if (shown_to == nullptr) {
      shown_to = std::make_shared<std::vector<int64_t>>(view->tracks.size(), INT64_MAX);
    }
    (*shown_to)[k] = seen;
  }
  return ShowKept(std::move(view), min_t_ms, max_t_ms, std::move(shown_to));
}

std::shared_ptr<ColumnCache::Selection> ColumnCache::Find(std::string key) {
  MutexLock lock(mu_);
  const auto it = places_.find(key);
  if (it != places_.end()) {
    recent_.splice(recent_.begin(), recent_, it->second.recent);
    return it->second.selection;
  }
  const size_t hash = std::hash<std::string>()(key);
  if (asked_.size() >= kMaxAsked) asked_.clear();
  if (++asked_[hash] < 2) return nullptr;
  asked_.erase(hash);
  const auto [place, added] = places_.try_emplace(std::move(key));
  place->second.selection = std::make_shared<Selection>();
  recent_.push_front(&place->first);
  place->second.recent = recent_.begin();
  return place->second.selection;
}

// What a selection takes has changed: others may have to go.
void ColumnCache::Account(const Selection& selection, const std::string& key, size_t bytes) {
  MutexLock lock(mu_);
  const auto it = places_.find(key);
  if (it == places_.end() || it->second.selection.get() != &selection) return;
  bytes_ += bytes - it->second.bytes;
  it->second.bytes = bytes;
  while (bytes_ > max_bytes_ && !recent_.empty()) {
    const auto oldest = places_.find(*recent_.back());
    bytes_ -= oldest->second.bytes;
    recent_.pop_back();
    places_.erase(oldest);
  }
}

ColumnCache::Stats ColumnCache::stats() const {
  MutexLock lock(mu_);
  return {hits_, fills_, misses_, bytes_, places_.size()};
}

}  // namespace vedette::tsdb
