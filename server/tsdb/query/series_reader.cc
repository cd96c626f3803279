#include "server/tsdb/query/series_reader.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "common/model/sample.h"
#include "server/tsdb/chunk/chunk.h"
#include "server/tsdb/chunk/rollup.h"
#include "server/tsdb/store/keys.h"

namespace vedette::tsdb {
namespace {

// A run of one series: instants that are ascending, values beside them.
struct Piece {
  std::span<const int64_t> t_ms;
  size_t values_at = 0;  // In the buffer of values.
  uint64_t identity = 0;
};

// Label sets that are looked up at once: one lock and one list for so many series.
constexpr size_t kLabelRun = 64;
// Timelines whose instants one reader has at hand.
constexpr size_t kInstantsAtHand = 256;

uint64_t Mix(uint64_t h, uint64_t v) {
  h = (h ^ v) * 0x9e3779b97f4a7c15u;
  return h ^ h >> 29;
}

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

// What was selected and where it lies: worked out once, and shared by the parts of a set. Never
// changed.
struct Selection {
  struct InWindow {
    int32_t window;
    Postings present;
    Postings histograms;
    int64_t rollup_ms = 0;  // The resolution in which it is read; 0: as it is.
  };

  std::vector<uint32_t> ids;
  std::vector<uint32_t> metrics;
  std::vector<uint32_t> order;
  std::vector<Labels> labels;  // Only where series are asked for in their order.
  std::shared_ptr<const StoreSnapshot> snapshot;
  std::vector<InWindow> windows;
  std::unordered_map<uint32_t, std::shared_ptr<const TimelineView>> views;
  std::vector<Head::Place> places;  // Of all series, one after the other;
  std::vector<uint32_t> places_of;  // where those of each begin.
  std::vector<int64_t> sealed_of;   // The newest instant of each that its timelines have sealed,
  int64_t foreign = INT64_MAX;      // and of all that may come from elsewhere.
  bool rollups = false;             // A window is read in them.
};

int32_t NearWindowOf(int64_t t_ms, int64_t window_ms) {
  constexpr int64_t kFar = int64_t{1} << 50;
  return WindowOf(std::clamp(t_ms, -kFar, kFar), window_ms);
}

std::shared_ptr<const Selection> Look(const ReaderParts& parts, int64_t min_t_ms, int64_t max_t_ms,
                                      const storage::SelectHints& hints,
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
      if (added) it->second = parts.head.ViewOf(p.timeline);
      // One that has just left memory: what it had is on disk.
      sealed = std::max(sealed, it->second ? it->second->sealed_t_ms : INT64_MAX);
      if (it->second && !it->second->empty()) out->places.push_back(p);
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

class Reader final : public SeriesReader {
 public:
  // The series at the places first..end of the selection's order.
  Reader(const ReaderParts& parts, int64_t min_t_ms, int64_t max_t_ms, uint64_t limit,
         std::shared_ptr<const Selection> selection, size_t first, size_t end)
      : parts_(parts),
        min_(min_t_ms),
        max_(max_t_ms),
        limit_(limit),
        selection_(std::move(selection)),
        cursors_(selection_->windows.size()),
        at_(first),
        end_(end) {}

  bool Next() override {
    while (at_ < end_ && status_.ok() && (limit_ == 0 || given_ < limit_)) {
      const uint32_t i = selection_->order[at_++];
      if (!Read(i)) continue;
      series_ = selection_->ids[i];
      columns_.labels = selection_->labels.empty() ? TakeLabels(at_ - 1) : selection_->labels[i];
      ++given_;
      return true;
    }
    return false;
  }

  uint64_t places() const override { return limit_ == 0 ? end_ - at_ : 0; }
  std::unique_ptr<storage::SeriesSet> Part(uint64_t first, uint64_t count) const override {
    const size_t from = std::min<size_t>(at_ + first, end_);
    return std::make_unique<Reader>(parts_, min_, max_, 0, selection_, from,
                                    std::min<size_t>(from + count, end_));
  }

  uint32_t series() const override { return series_; }
  std::vector<uint32_t> InOrder() const override {
    std::vector<uint32_t> out;
    out.reserve(selection_->order.size());
    for (uint32_t i : selection_->order) out.push_back(selection_->ids[i]);
    return out;
  }
  std::shared_ptr<const TimelineView> view(uint32_t timeline) const override {
    const auto it = selection_->views.find(timeline);
    return it == selection_->views.end() ? nullptr : it->second;
  }

  const storage::SeriesColumns& at() const override { return columns_; }
  uint64_t bytes_decoded() const override { return bytes_; }
  Status status() const override { return status_; }
  std::vector<std::string> warnings() const override {
    if (damaged_ == 0) return {};
    return {StrCat(damaged_, " damaged chunks were left out",
                   damage_.empty() ? "" : ", the first: ", damage_)};
  }

 private:
  // Where one reader stands in a window.
  struct Cursor {
    std::optional<StoreIterator> chunks;
    std::optional<StoreIterator> histogram_rows;
    std::optional<StoreIterator> rollups;
  };

  // Of the series at a place of the order; those behind it will be asked for next.
  Labels TakeLabels(size_t place) {
    if (place >= labels_first_ + labels_.size() || place < labels_first_) {
      std::array<uint32_t, kLabelRun> ids;
      const size_t n = std::min(kLabelRun, end_ - place);
      for (size_t k = 0; k < n; ++k) ids[k] = selection_->ids[selection_->order[place + k]];
      labels_.clear();
      parts_.index.LabelsOf(std::span(ids).first(n), labels_);
      labels_first_ = place;
    }
    return std::move(labels_[place - labels_first_]);
  }

  void Damaged(const Status& s) {
    ++damaged_;
    ++parts_.counters.damaged;
    if (damage_.empty()) damage_ = s.ToString();
  }

  // Behind a part of a file that cannot be read, if that is what the iterator stands before.
  bool PassDamage(StoreIterator& it) {
    const Status s = it.status();
    if (s.code() != StatusCode::kDataLoss) return false;
    Damaged(s);
    return it.SkipDamage();
  }

  // False where the series has nothing in the range.
  bool Read(uint32_t index) {
    const uint32_t series = selection_->ids[index];
    const uint32_t metric = selection_->metrics[index];
    pieces_.clear();
    held_.clear();
    values_.clear();
    maybe_stale_ = false;
    histograms_.clear();
    rolled_.clear();
    histogram_before_ = nullptr;
    ReadHead(index);
    const size_t from_head = pieces_.size();
    // Where memory has all of the range the disk is not asked: a search there costs more than the
    // rest of a short read.
    const bool on_disk = min_ <= std::max(selection_->foreign, selection_->sealed_of[index]);
    // With histograms it is the samples that count.
    const bool rollups =
        selection_->rollups && std::ranges::none_of(selection_->windows, [&](const auto& w) {
          return w.histograms.Contains(series);
        });
    for (size_t i = 0; i < cursors_.size(); ++i) {
      const Selection::InWindow& w = selection_->windows[i];
      if (on_disk && w.present.Contains(series) &&
          !(rollups && ReadRollup(w, cursors_[i], series, metric, from_head))) {
        ReadChunks(w, cursors_[i], series, metric);
      }
      if (w.histograms.Contains(series)) ReadHistograms(w, cursors_[i], series, metric);
    }
    if (!status_.ok()) return false;
    // Sealed before open: the older wins where both have an instant.
    std::rotate(pieces_.begin(), pieces_.begin() + static_cast<ptrdiff_t>(from_head),
                pieces_.end());
    const bool samples = Join();
    return rolled_.empty() ? samples : JoinRolled();
  }

  // The window's samples of a series as stretches. False: they are to be read themselves.
  bool ReadRollup(const Selection::InWindow& w, Cursor& cursor, uint32_t series, uint32_t metric,
                  size_t from_head) {
    if (w.rollup_ms == 0) return false;
    const int64_t begin = w.window * parts_.window_ms;
    // What memory has of the window would have to be put between them.
    for (size_t i = 0; i < from_head; ++i) {
      const Piece& p = pieces_[i];
      if (p.t_ms.front() < begin + parts_.window_ms && p.t_ms.back() >= begin) return false;
    }
    if (!cursor.rollups) {
      cursor.rollups.emplace(parts_.store.Iterate(Family::kRollups, selection_->snapshot.get()));
    }
    StoreIterator& it = *cursor.rollups;
    const std::string key = RollupKey(w.rollup_ms, w.window, metric, series);
    if (it.valid() && it.key() < key) it.Next();
    if (!it.valid() || it.key() != key) it.Seek(key);
    if (!it.valid() || it.key() != key) return false;
    bytes_ += it.value().size();
    if (const Status s = DecodeRollup(it.value(), stretches_); !s.ok()) {
      Damaged(s);
      return false;  // Nothing is lost.
    }
    for (const storage::RolledUp& r : stretches_) {
      if (r.last_ms >= min_ && r.last_ms <= max_) rolled_.push_back(r);
    }
    return true;
  }

  // Puts the samples that were read beside the stretches between them, each as a stretch of its own.
  bool JoinRolled() {
    out_rolled_.clear();
    size_t next = 0;
    const auto take_until = [&](int64_t t_ms) {
      for (; next < out_t_.size() && out_t_[next] < t_ms; ++next) {
        const double v = out_values_[next];
        if (IsStale(v)) continue;
        out_rolled_.push_back({.count = 1,
                               .first_ms = out_t_[next],
                               .last_ms = out_t_[next],
                               .first = v,
                               .last = v,
                               .min = v,
                               .max = v,
                               .sum = v});
      }
    };
    for (const storage::RolledUp& r : rolled_) {
      take_until(r.first_ms);
      out_rolled_.push_back(r);
    }
    take_until(INT64_MAX);
    out_t_.clear();
    out_values_.clear();
    for (const storage::RolledUp& r : out_rolled_) {
      out_t_.push_back(r.last_ms);
      out_values_.push_back(r.last);
    }
    out_key_ = 0;
    columns_ = {};
    columns_.t_ms = out_t_;
    columns_.values = out_values_;
    columns_.rolled = out_rolled_;
    return true;
  }

  void ReadHead(uint32_t index) {
    for (uint32_t i = selection_->places_of[index]; i < selection_->places_of[index + 1]; ++i) {
      const Head::Place place = selection_->places[i];
      const TimelineView* view = selection_->views.at(place.timeline).get();
      if (view->first_t_ms() > max_ || view->last_t_ms() < min_) continue;
      for (size_t b = 0; b < view->blocks.size(); ++b) {
        const Block& block = *view->blocks[b];
        const std::vector<int64_t>& instants = block.instants();
        if (instants.front() > max_ || instants.back() < min_) continue;
        const size_t at = values_.size();
        values_.resize(at + instants.size());
        if (!block.Decode(place.position, std::span(values_).subspan(at))) {
          values_.resize(at);
          Damaged(DataLoss("a block in memory"));
          continue;
        }
        // Its share of the block; lengths of single columns are the block's own affair.
        bytes_ += block.bytes().size() / std::max<size_t>(block.positions(), 1);
        maybe_stale_ = true;
        pieces_.push_back({instants, at, Mix(view->version, b)});
      }
      if (view->rows.empty() || view->rows.back()->t_ms < min_ || view->rows.front()->t_ms > max_) {
        continue;
      }
      const std::vector<int64_t>& rows = RowInstants(place.timeline, *view);
      const size_t at = values_.size();
      for (const auto& row : view->rows) values_.push_back(row->at(place.position));
      bytes_ += view->rows.size() * sizeof(double);
      maybe_stale_ = true;
      pieces_.push_back({rows, at, Mix(view->version, 1000)});
    }
  }

  const std::vector<int64_t>& RowInstants(uint32_t timeline, const TimelineView& view) {
    auto [it, added] = instants_of_rows_.try_emplace(timeline);
    if (added) {
      for (const auto& row : view.rows) it->second.push_back(row->t_ms);
    }
    return it->second;
  }

  void ReadChunks(const Selection::InWindow& w, Cursor& cursor, uint32_t series, uint32_t metric) {
    const int64_t start = w.window * parts_.window_ms;
    const uint32_t from =
        min_ <= start ? 0
                      : static_cast<uint32_t>(std::min<int64_t>(min_ - start, parts_.window_ms));
    const ChunkKey first{w.window, metric, series, from, 0};
    // In order of keys the iterator often stands where the next series begins: a search is saved.
    if (!cursor.chunks) {
      cursor.chunks.emplace(parts_.store.Iterate(Family::kChunks, selection_->snapshot.get()));
    }
    StoreIterator& it = *cursor.chunks;
    if (!AtSeries(it, first)) {
      const std::string first_bytes = first.Bytes();
      if (it.valid() && it.key() < first_bytes) it.Next();
      if (!AtSeries(it, first)) it.Seek(first_bytes);
    }
    for (; it.valid() || PassDamage(it); it.Next()) {
      if (it.key().size() != ChunkKey::kBytes) break;
      const ChunkKey key = ChunkKey::From(it.key());
      if (!key.SameSeries(first)) break;
      if (key.last_offset < from) continue;
      Result<ChunkHeader> header = ReadChunkHeader(it.value());
      if (!header.ok()) {
        Damaged(header.status());
        continue;
      }
      if (start + key.last_offset - header->span_ms > max_) continue;
      const Result<const Shared*> found = FindInstants(w.window, header->instants_id);
      // What lies before the range is not made into values.
      header = DecodeChunk(it.value(), chunk_values_, found.ok() ? (*found)->first : 0);
      bytes_ += it.value().size();
      if (!header.ok()) {
        Damaged(header.status());
        continue;
      }
      if (!found.ok() || (*found)->instants->size() != chunk_values_.size()) {
        Damaged(found.ok() ? DataLoss("chunk and instants differ in length") : found.status());
        continue;
      }
      const Shared& shared = **found;
      if (shared.first == shared.last) continue;
      const size_t at = values_.size();
      values_.insert(values_.end(), chunk_values_.data() + shared.first,
                     chunk_values_.data() + shared.last);
      maybe_stale_ = maybe_stale_ || header->has_stale;
      pieces_.push_back(
          {std::span(*shared.instants).subspan(shared.first, shared.last - shared.first), at,
           Mix(static_cast<uint64_t>(WindowBits(w.window)) << 32, header->instants_id)});
    }
    if (Status s = it.status(); !s.ok() && s.code() != StatusCode::kDataLoss) status_ = s;
  }

  // The instants of a chunk and which of them are in the range: worked out once for all series that
  // share them. The hosts of a fleet take turns within a metric, so many are kept at hand.
  struct Shared {
    int32_t window = 0;
    uint32_t id = 0;
    InstantsTable::Instants instants;
    size_t first = 0;
    size_t last = 0;
  };
  Result<const Shared*> FindInstants(int32_t window, uint32_t id) {
    Shared& at_hand = shared_[id % kInstantsAtHand];
    if (at_hand.instants != nullptr) {
      if (at_hand.window == window && at_hand.id == id) return &at_hand;
      held_.push_back(std::move(at_hand.instants));
    }
    at_hand.instants = nullptr;
    VEDETTE_ASSIGN_OR_RETURN(at_hand.instants,
                             parts_.instants.Get(window, id, selection_->snapshot.get()));
    at_hand.window = window;
    at_hand.id = id;
    const std::vector<int64_t>& t = *at_hand.instants;
    at_hand.first = static_cast<size_t>(std::ranges::lower_bound(t, min_) - t.begin());
    at_hand.last = static_cast<size_t>(std::ranges::upper_bound(t, max_) - t.begin());
    return &at_hand;
  }

  // Whether the iterator stands on the first chunk of this series that there is.
  static bool AtSeries(const StoreIterator& it, const ChunkKey& want) {
    if (!it.valid() || it.key().size() != ChunkKey::kBytes) return false;
    return ChunkKey::From(it.key()).SameSeries(want);
  }

  void ReadHistograms(const Selection::InWindow& w, Cursor& cursor, uint32_t series,
                      uint32_t metric) {
    const int64_t start = w.window * parts_.window_ms;
    const uint32_t from =
        min_ <= start ? 0
                      : static_cast<uint32_t>(std::min<int64_t>(min_ - start, parts_.window_ms));
    const std::string first = HistogramKey(w.window, metric, series, from);
    const std::string prefix = first.substr(0, 12);
    if (!cursor.histogram_rows) {
      cursor.histogram_rows.emplace(
          parts_.store.Iterate(Family::kHistograms, selection_->snapshot.get()));
    }
    StoreIterator& it = *cursor.histogram_rows;
    if (from > 0 && histograms_.empty()) {
      it.SeekForPrev(HistogramKey(w.window, metric, series, from - 1));
      if (it.valid() && it.key().starts_with(prefix)) {
        Result<std::shared_ptr<const Histogram>> h = DecodeHistogram(it.value());
        if (h.ok()) histogram_before_ = *std::move(h);
      }
    }
    it.Seek(first);
    for (; it.valid() || PassDamage(it); it.Next()) {
      if (!it.key().starts_with(prefix)) break;
      if (it.key().size() != 16) continue;
      const int64_t t_ms = start + GetBigEndian32(it.key().data() + 12);
      if (t_ms > max_) break;
      Result<std::shared_ptr<const Histogram>> h = DecodeHistogram(it.value());
      if (!h.ok()) {
        Damaged(h.status());
        continue;
      }
      bytes_ += it.value().size();
      histograms_.emplace_back(t_ms, *std::move(h));
    }
    if (Status s = it.status(); !s.ok() && s.code() != StatusCode::kDataLoss) status_ = s;
  }

  // Makes one series of the pieces.
  bool Join() {
    columns_ = {};
    out_histograms_.clear();
    if (pieces_.empty() && histograms_.empty()) {
      out_t_.clear();
      out_values_.clear();
      out_key_ = 0;
      return false;
    }
    bool in_order = histograms_.empty();
    for (size_t i = 1; in_order && i < pieces_.size(); ++i) {
      in_order = pieces_[i - 1].t_ms.back() < pieces_[i].t_ms.front();
    }
    if (in_order) {
      JoinInOrder();
    } else {
      Merge();
    }
    if (out_values_.empty()) return false;
    columns_.t_ms = out_t_;
    columns_.values = out_values_;
    columns_.histograms = out_histograms_;
    columns_.histogram_before = std::move(histogram_before_);
    columns_.has_stale = maybe_stale_ && std::ranges::any_of(out_values_, IsStale);
    return true;
  }

  // Which instants of a piece are in the range: of a chunk all, as it was cut to it.
  std::pair<size_t, size_t> InRange(const Piece& p) const {
    if (p.t_ms.front() >= min_ && p.t_ms.back() <= max_) return {0, p.t_ms.size()};
    const auto first = std::ranges::lower_bound(p.t_ms, min_);
    const auto last = std::ranges::upper_bound(first, p.t_ms.end(), max_);
    return {static_cast<size_t>(first - p.t_ms.begin()),
            static_cast<size_t>(last - p.t_ms.begin())};
  }

  // Holes and stale markers are NaN: where there is none, nobody looks closer. Without branches.
  static bool HasNan(std::span<const double> values) {
    int nans = 0;
    for (double v : values) nans += v != v ? 1 : 0;
    return nans != 0;
  }

  void JoinInOrder() {
    uint64_t key = 0x51ed;
    out_values_.clear();
    size_t wanted = 0;
    for (const Piece& p : pieces_) {
      key = Mix(key, p.identity);
      const auto [first, last] = InRange(p);
      wanted += last - first;
      const double* v = values_.data() + p.values_at;
      out_values_.insert(out_values_.end(), v + first, v + last);
    }
    const bool holes = HasNan(out_values_) && std::ranges::any_of(out_values_, IsAbsent);
    if (!holes && key == out_key_ && out_t_.size() == wanted) {
      columns_.timeline_key = key;
      return;
    }
    out_t_.clear();
    out_t_.reserve(wanted);
    for (const Piece& p : pieces_) {
      const auto [first, last] = InRange(p);
      out_t_.insert(out_t_.end(), p.t_ms.begin() + static_cast<ptrdiff_t>(first),
                    p.t_ms.begin() + static_cast<ptrdiff_t>(last));
    }
    out_key_ = holes ? 0 : key;
    columns_.timeline_key = out_key_;
    if (!holes) return;
    size_t n = 0;
    for (size_t i = 0; i < out_values_.size(); ++i) {
      if (IsAbsent(out_values_[i])) continue;
      out_values_[n] = out_values_[i];
      out_t_[n++] = out_t_[i];
    }
    out_values_.resize(n);
    out_t_.resize(n);
  }

  void Merge() {
    struct Entry {
      int64_t t_ms;
      double value;
      const std::shared_ptr<const Histogram>* histogram;
    };
    std::vector<Entry> entries;
    for (const Piece& p : pieces_) {
      for (size_t i = 0; i < p.t_ms.size(); ++i) {
        const double v = values_[p.values_at + i];
        if (p.t_ms[i] < min_ || p.t_ms[i] > max_ || IsAbsent(v)) continue;
        entries.push_back({p.t_ms[i], v, nullptr});
      }
    }
    for (const auto& [t_ms, h] : histograms_) entries.push_back({t_ms, 0, &h});
    std::ranges::stable_sort(entries, {}, &Entry::t_ms);
    out_t_.clear();
    out_values_.clear();
    out_key_ = 0;
    for (const Entry& e : entries) {
      if (!out_t_.empty() && out_t_.back() == e.t_ms) continue;
      out_t_.push_back(e.t_ms);
      out_values_.push_back(e.value);
      if (!histograms_.empty()) {
        out_histograms_.push_back(e.histogram == nullptr ? nullptr : *e.histogram);
      }
    }
  }

  const ReaderParts parts_;
  const int64_t min_;
  const int64_t max_;
  const uint64_t limit_;
  const std::shared_ptr<const Selection> selection_;  // Before the iterators, which must go first.
  std::vector<Cursor> cursors_;                       // By window of the selection.
  std::unordered_map<uint32_t, std::vector<int64_t>> instants_of_rows_;
  size_t at_;
  const size_t end_;
  uint64_t given_ = 0;

  uint32_t series_ = 0;

  // Of the series being read.
  std::vector<Piece> pieces_;
  // No longer at hand, but a piece of the series may refer to them.
  std::vector<InstantsTable::Instants> held_;
  std::array<Shared, kInstantsAtHand> shared_;  // By id.
  bool maybe_stale_ = false;                    // A piece may have a stale marker.
  std::vector<Labels> labels_;                  // Of the places from labels_first_ on.
  size_t labels_first_ = 0;
  std::vector<double> values_;
  std::vector<double> chunk_values_;
  std::vector<storage::RolledUp> rolled_;  // Of all windows that were read in them.
  std::vector<storage::RolledUp> stretches_;  // Of one.
  std::vector<std::pair<int64_t, std::shared_ptr<const Histogram>>> histograms_;
  std::shared_ptr<const Histogram> histogram_before_;
  uint64_t bytes_ = 0;  // Of encoded samples, decoded so far.

  std::vector<int64_t> out_t_;
  std::vector<double> out_values_;
  std::vector<std::shared_ptr<const Histogram>> out_histograms_;
  std::vector<storage::RolledUp> out_rolled_;
  uint64_t out_key_ = 0;
  storage::SeriesColumns columns_;
  Status status_;
  uint64_t damaged_ = 0;
  std::string damage_;
};

}  // namespace

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

std::unique_ptr<SeriesReader> ReadSeries(const ReaderParts& parts, int64_t min_t_ms,
                                         int64_t max_t_ms, const storage::SelectHints& hints,
                                         Postings selected) {
  std::shared_ptr<const Selection> selection =
      Look(parts, min_t_ms, max_t_ms, hints, selected);
  const size_t end = selection->order.size();
  return std::make_unique<Reader>(parts, min_t_ms, max_t_ms, hints.limit, std::move(selection), 0,
                                  end);
}

}  // namespace vedette::tsdb
