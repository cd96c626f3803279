#include "server/tsdb/query/kept_columns.h"

#include <algorithm>
#include <span>
#include <utility>

#include "common/model/sample.h"

namespace vedette::tsdb {
namespace {

class KeptSet final : public storage::SeriesSet {
 public:
  KeptSet(std::shared_ptr<const KeptView> view, int64_t min_t_ms, int64_t max_t_ms,
          std::shared_ptr<const std::vector<int64_t>> newest, size_t first, size_t end)
      : view_(std::move(view)),
        min_(min_t_ms),
        max_(max_t_ms),
        newest_(std::move(newest)),
        ranges_(view_->tracks.size()),
        at_(first),
        end_(end) {}

  bool Next() override {
    const std::vector<KeptSeries>& series = *view_->series;
    while (at_ < end_) {
      const KeptSeries& s = series[at_++];
      const InRange& part = RangeOf(s.track);
      if (part.size == 0) continue;
      const KeptColumns& columns = *view_->tracks[s.track].columns;
      columns_.t_ms = {columns.t_ms() + part.first, part.size};
      columns_.values = {columns.column(s.column) + part.first, part.size};
      columns_.timeline_key = uint64_t{s.track} + 1;
      columns_.has_stale = false;
      if (const uint8_t marks = columns.marks(s.column); marks != 0) {
        if (std::ranges::any_of(columns_.values, IsAbsent) && !LeaveOutHoles()) continue;
        columns_.has_stale = std::ranges::any_of(columns_.values, IsStale);
      }
      columns_.labels = s.labels;
      return true;
    }
    return false;
  }
  const storage::SeriesColumns& at() const override { return columns_; }
  Status status() const override { return {}; }
  uint64_t places() const override { return end_ - at_; }
  std::unique_ptr<storage::SeriesSet> Part(uint64_t first, uint64_t count) const override {
    const size_t from = std::min<size_t>(at_ + first, end_);
    return std::make_unique<KeptSet>(view_, min_, max_, newest_, from,
                                     std::min<size_t>(from + count, end_));
  }

 private:
  // The part of a track's instants that is in the range: worked out once for all its series.
  struct InRange {
    size_t first = 0;
    size_t size = SIZE_MAX;
  };

  const InRange& RangeOf(uint32_t track) {
    InRange& part = ranges_[track];
    if (part.size != SIZE_MAX) return part;
    const KeptView::Track& t = view_->tracks[track];
    const std::span<const int64_t> all(t.columns->t_ms(), t.size);
    const auto first = std::ranges::lower_bound(all, min_);
    const int64_t max = newest_ == nullptr ? max_ : std::min(max_, (*newest_)[track]);
    const auto last = std::ranges::upper_bound(first, all.end(), max);
    part.first = static_cast<size_t>(first - all.begin());
    part.size = first < last ? static_cast<size_t>(last - first) : 0;
    return part;
  }

  // False where nothing but holes is left.
  bool LeaveOutHoles() {
    t_.clear();
    values_.clear();
    for (size_t i = 0; i < columns_.values.size(); ++i) {
      if (IsAbsent(columns_.values[i])) continue;
      t_.push_back(columns_.t_ms[i]);
      values_.push_back(columns_.values[i]);
    }
    columns_.t_ms = t_;
    columns_.values = values_;
    columns_.timeline_key = 0;
    return !t_.empty();
  }

  const std::shared_ptr<const KeptView> view_;
  const int64_t min_;
  const int64_t max_;
  const std::shared_ptr<const std::vector<int64_t>> newest_;
  std::vector<InRange> ranges_;
  size_t at_;
  const size_t end_;
  std::vector<int64_t> t_;
  std::vector<double> values_;
  storage::SeriesColumns columns_;
};

}  // namespace

void KeptColumns::Set(size_t series, size_t at, double value) {
  column(series)[at] = value;
  if (IsAbsent(value)) {
    Mark(series, kHoles);
  } else if (IsStale(value)) {
    Mark(series, kStale);
  }
}

std::unique_ptr<storage::SeriesSet> ShowKept(std::shared_ptr<const KeptView> view, int64_t min_t_ms,
                                             int64_t max_t_ms,
                                             std::shared_ptr<const std::vector<int64_t>> newest) {
  const size_t series = view->series->size();
  return std::make_unique<KeptSet>(std::move(view), min_t_ms, max_t_ms, std::move(newest), 0, series);
}

}  // namespace vedette::tsdb
