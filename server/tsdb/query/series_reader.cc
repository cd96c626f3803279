#include "server/tsdb/query/series_reader.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/model/sample.h"
#include "server/tsdb/query/damage_notes.h"
#include "server/tsdb/query/pieces.h"
#include "server/tsdb/query/sealed_reader.h"

namespace vedette::tsdb {
namespace {

// Label sets that are looked up at once: one lock and one list for so many series.
constexpr size_t kLabelRun = 64;

// What of a series is shown.
struct Wanted {
  int64_t min_t_ms = 0;
  int64_t max_t_ms = 0;
  uint64_t limit = 0;  // Of series; 0: none.
  bool presence_only = false;
  std::optional<std::vector<std::string>> labels;  // Nothing: all.
};

class Reader final : public SeriesReader {
 public:
  // The series at the places first..end of the selection's order.
  Reader(const ReaderParts& parts, Wanted wanted, std::shared_ptr<const Selection> selection,
         size_t first, size_t end)
      : parts_(parts),
        wanted_(std::move(wanted)),
        min_(wanted_.min_t_ms),
        max_(wanted_.max_t_ms),
        selection_(std::move(selection)),
        notes_(parts_.counters),
        sealed_(parts_, min_, max_, wanted_.presence_only, selection_, notes_),
        at_(first),
        end_(end) {}

  bool Next() override {
    while (at_ < end_ && status_.ok() && (wanted_.limit == 0 || given_ < wanted_.limit)) {
      const uint32_t i = selection_->order[at_++];
      if (!Read(i)) continue;
      series_ = selection_->ids[i];
      columns_.labels = selection_->labels.empty() ? TakeLabels(at_ - 1) : selection_->labels[i];
      ++given_;
      return true;
    }
    return false;
  }

  uint64_t places() const override { return wanted_.limit == 0 ? end_ - at_ : 0; }
  std::unique_ptr<storage::SeriesSet> Part(uint64_t first, uint64_t count) const override {
    const size_t from = std::min<size_t>(at_ + first, end_);
    return std::make_unique<Reader>(parts_, wanted_, selection_, from,
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
    return it == selection_->views.end() ? nullptr : it->second.view;
  }

  const storage::SeriesColumns& at() const override { return columns_; }
  uint64_t bytes_decoded() const override { return bytes_ + sealed_.bytes(); }
  Status status() const override { return status_; }
  std::vector<std::string> warnings() const override { return notes_.warnings(); }

 private:
  // Of the series at a place of the order; those behind it will be asked for next.
  Labels TakeLabels(size_t place) {
    if (wanted_.labels && wanted_.labels->empty()) return {};
    if (place >= labels_first_ + labels_.size() || place < labels_first_) {
      std::array<uint32_t, kLabelRun> ids;
      const size_t n = std::min(kLabelRun, end_ - place);
      for (size_t k = 0; k < n; ++k) ids[k] = selection_->ids[selection_->order[place + k]];
      labels_.clear();
      const std::span<const uint32_t> run = std::span(ids).first(n);
      if (wanted_.labels) {
        parts_.index.LabelsOf(run, *wanted_.labels, labels_);
      } else {
        parts_.index.LabelsOf(run, labels_);
      }
      labels_first_ = place;
    }
    return std::move(labels_[place - labels_first_]);
  }

  // False where the series has nothing in the range.
  bool Read(uint32_t index) {
    const uint32_t series = selection_->ids[index];
    const uint32_t metric = selection_->metrics[index];
    pieces_.Clear();
    sealed_.BeginSeries();
    rolled_.clear();
    std::shared_ptr<const Histogram> histogram_before;
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
    for (size_t i = 0; i < selection_->windows.size() && status_.ok(); ++i) {
      const Selection::InWindow& w = selection_->windows[i];
      if (on_disk && w.present.Contains(series) &&
          !(rollups && !InMemory(w.window, from_head) &&
            sealed_.ReadRollup(i, series, metric, rolled_))) {
        status_ = sealed_.ReadChunks(i, series, metric, pieces_);
      }
      if (status_.ok() && w.histograms.Contains(series)) {
        status_ = sealed_.ReadHistograms(i, series, metric, pieces_, histogram_before);
      }
    }
    if (!status_.ok()) return false;
    // Sealed before open: the older wins where both have an instant.
    pieces_.MoveToFront(from_head);
    const bool samples = pieces_.Join(min_, max_);
    if (!rolled_.empty()) {
      JoinRolled(pieces_.columns());
      return true;
    }
    columns_ = std::move(pieces_.columns());
    columns_.histogram_before = std::move(histogram_before);
    return samples;
  }

  // Whether one of the first pieces, those of memory, has an instant in the window: it would have to be
  // put between the stretches of a roll-up.
  bool InMemory(int32_t window, size_t pieces) const {
    const int64_t begin = window * parts_.window_ms;
    for (size_t i = 0; i < pieces; ++i) {
      const std::span<const int64_t> t_ms = pieces_.t_ms(i);
      if (t_ms.front() < begin + parts_.window_ms && t_ms.back() >= begin) return true;
    }
    return false;
  }

  // Puts the samples that were read beside the stretches between them, each as a stretch of its own.
  void JoinRolled(const storage::SeriesColumns& samples) {
    out_rolled_.clear();
    size_t next = 0;
    const auto take_until = [&](int64_t t_ms) {
      for (; next < samples.t_ms.size() && samples.t_ms[next] < t_ms; ++next) {
        const double v = samples.values[next];
        if (IsStale(v)) continue;
        out_rolled_.push_back({.count = 1,
                               .first_ms = samples.t_ms[next],
                               .last_ms = samples.t_ms[next],
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
    rolled_t_.clear();
    rolled_values_.clear();
    for (const storage::RolledUp& r : out_rolled_) {
      rolled_t_.push_back(r.last_ms);
      rolled_values_.push_back(r.last);
    }
    columns_ = {};
    columns_.t_ms = rolled_t_;
    columns_.values = rolled_values_;
    columns_.rolled = out_rolled_;
  }

  static std::span<const int64_t> UpTo(std::span<const int64_t> instants, int64_t max) {
    if (instants.back() <= max) return instants;
    return instants.first(
        static_cast<size_t>(std::ranges::upper_bound(instants, max) - instants.begin()));
  }

  void ReadHead(uint32_t index) {
    for (uint32_t i = selection_->places_of[index]; i < selection_->places_of[index + 1]; ++i) {
      const Head::Place place = selection_->places[i];
      const Selection::Seen& seen = selection_->views.at(place.timeline);
      const TimelineView* view = seen.view.get();
      const int64_t max = std::min(max_, seen.newest_t_ms);
      if (view->first_t_ms() > max || view->last_t_ms() < min_) continue;
      for (size_t b = 0; b < view->blocks.size(); ++b) {
        const Block& block = *view->blocks[b];
        const std::vector<int64_t>& instants = block.instants();
        if (instants.front() > max || instants.back() < min_) continue;
        if (!block.Decode(place.position, pieces_.Room(instants.size()))) {
          notes_.Add(DataLoss("a block in memory"));
          continue;
        }
        // Its share of the block; lengths of single columns are the block's own affair.
        bytes_ += block.bytes().size() / std::max<size_t>(block.positions(), 1);
        pieces_.Add(UpTo(instants, max), MixIdentity(view->version, b), /*may_be_stale=*/true);
      }
      if (view->rows.empty() || view->rows.back()->t_ms < min_ || view->rows.front()->t_ms > max) {
        continue;
      }
      const std::vector<int64_t>& instants = RowInstants(place.timeline, *view);
      const std::span<double> values = pieces_.Room(instants.size());
      for (size_t r = 0; r < values.size(); ++r) values[r] = view->rows[r]->at(place.position);
      bytes_ += view->rows.size() * sizeof(double);
      pieces_.Add(UpTo(instants, max), MixIdentity(view->version, 1000), /*may_be_stale=*/true);
    }
  }

  const std::vector<int64_t>& RowInstants(uint32_t timeline, const TimelineView& view) {
    auto [it, added] = instants_of_rows_.try_emplace(timeline);
    if (added) {
      for (const auto& row : view.rows) it->second.push_back(row->t_ms);
    }
    return it->second;
  }

  const ReaderParts parts_;
  const Wanted wanted_;
  const int64_t min_;
  const int64_t max_;
  const std::shared_ptr<const Selection> selection_;
  DamageNotes notes_;
  SealedReader sealed_;
  std::unordered_map<uint32_t, std::vector<int64_t>> instants_of_rows_;
  size_t at_;
  const size_t end_;
  uint64_t given_ = 0;

  uint32_t series_ = 0;
  Pieces pieces_;
  std::vector<storage::RolledUp> rolled_;  // Of all windows that were read in them.
  std::vector<storage::RolledUp> out_rolled_;
  std::vector<int64_t> rolled_t_;
  std::vector<double> rolled_values_;
  std::vector<Labels> labels_;  // Of the places from labels_first_ on.
  size_t labels_first_ = 0;
  uint64_t bytes_ = 0;  // Of memory.
  storage::SeriesColumns columns_;
  Status status_;
};

}  // namespace

std::unique_ptr<SeriesReader> ReadSeries(const ReaderParts& parts, Moment& moment,
                                         int64_t min_t_ms, int64_t max_t_ms,
                                         const storage::SelectHints& hints,
                                         const Postings& selected) {
  std::shared_ptr<const Selection> selection =
      Look(parts, moment, min_t_ms, max_t_ms, hints, selected);
  const size_t end = selection->order.size();
  Wanted wanted{min_t_ms, max_t_ms, hints.limit, hints.presence_only, hints.labels};
  return std::make_unique<Reader>(parts, std::move(wanted), std::move(selection), 0, end);
}

}  // namespace vedette::tsdb
