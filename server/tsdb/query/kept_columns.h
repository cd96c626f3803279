#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "common/model/labels.h"
#include "server/storage/queryable.h"

namespace vedette::tsdb {

// Decoded columns of series that share a timeline: instants once, and a column of values a series,
// kAbsent where it has none. Grows at its end while readers look at what was there before: who
// reads the first n instants never sees the others.
class KeptColumns {
 public:
  KeptColumns(size_t series, size_t capacity)
      : series_(series),
        capacity_(capacity),
        t_ms_(new int64_t[capacity]),
        values_(new double[series * capacity]),
        marks_(new std::atomic<uint8_t>[series]()) {}

  enum Mark : uint8_t { kHoles = 1, kStale = 2 };

  size_t series() const { return series_; }
  size_t capacity() const { return capacity_; }
  size_t bytes() const { return (series_ + 1) * capacity_ * sizeof(double); }

  int64_t* t_ms() { return t_ms_.get(); }
  const int64_t* t_ms() const { return t_ms_.get(); }
  double* column(size_t series) { return values_.get() + series * capacity_; }
  const double* column(size_t series) const { return values_.get() + series * capacity_; }

  void Set(size_t series, size_t at, double value);
  // There may be a hole, or a stale marker, in the column. Never taken back.
  uint8_t marks(size_t series) const { return marks_[series].load(std::memory_order_relaxed); }
  void Mark(size_t series, uint8_t marks) {
    marks_[series].fetch_or(marks, std::memory_order_relaxed);
  }

 private:
  const size_t series_;
  const size_t capacity_;
  std::unique_ptr<int64_t[]> t_ms_;
  std::unique_ptr<double[]> values_;
  std::unique_ptr<std::atomic<uint8_t>[]> marks_;
};

// Where a series is among them.
struct KeptSeries {
  Labels labels;
  uint32_t track = 0;
  uint32_t column = 0;
};

// What is kept of a selection, as one reader sees it. Never changed.
struct KeptView {
  struct Track {
    std::shared_ptr<const KeptColumns> columns;
    size_t size = 0;  // Of its instants that count.
    uint32_t timeline = 0;  // 0: of none that is in memory.
    int64_t newest_t_ms = INT64_MIN;  // Of the timeline, at that moment.
  };
  std::shared_ptr<const std::vector<KeptSeries>> series;  // In the order in which they are shown.
  std::vector<Track> tracks;
};

// The series that have a sample in the range. `newest`: by track, the newest instant that is shown;
// null: any.
std::unique_ptr<storage::SeriesSet> ShowKept(std::shared_ptr<const KeptView> view, int64_t min_t_ms,
                                             int64_t max_t_ms,
                                             std::shared_ptr<const std::vector<int64_t>> newest);

}  // namespace vedette::tsdb
