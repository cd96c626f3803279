#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>

#include "common/base/mutex.h"
#include "common/model/matcher.h"
#include "server/storage/queryable.h"
#include "server/tsdb/query/series_reader.h"

namespace vedette::tsdb {

// ColumnCache keeps in decoded columns what is asked again and again: the selectors of rules and of
// dashboards, which each time want the same series over a range whose end has moved on a little. A
// selection that is kept takes in the rows that have come since, so that the next one looks nothing
// up and decodes nothing.
//
//   if (auto kept = cache.Select(parts, moment, min, max, matchers)) return kept;
//   return ReadSeries(...);   // The same series, samples and order.
//
// Kept from the second time on that it is asked, when the range ends near the newest sample. Given
// up when something else than a row at the end of a timeline happened (a late sample, a deletion,
// another series that matches), and where it does not pay: native histograms, series that several
// timelines hold, selections over a quarter of the room.
//
// Thread-safe. A set is good for as long as it is held, whatever becomes of the cache.
class ColumnCache {
 public:
  // 0: nothing is ever kept.
  explicit ColumnCache(size_t max_bytes) : max_bytes_(max_bytes) {}
  ~ColumnCache();

  // Null where the caller has to read it.
  std::unique_ptr<storage::SeriesSet> Select(const ReaderParts& parts, Moment& moment,
                                             int64_t min_t_ms, int64_t max_t_ms,
                                             std::span<const Matcher> matchers);

  struct Stats {
    uint64_t hits = 0;    // Answered from what was kept.
    uint64_t fills = 0;   // Read, and kept for the next time.
    uint64_t misses = 0;  // Left to the caller.
    uint64_t bytes = 0;
    uint64_t selections = 0;
  };
  Stats stats() const VEDETTE_EXCLUDES(mu_);

 private:
  class Selection;
  struct Place {
    std::shared_ptr<Selection> selection;
    std::list<const std::string*>::iterator recent;
    size_t bytes = 0;
  };

  std::shared_ptr<Selection> Find(std::string key) VEDETTE_EXCLUDES(mu_);
  void Account(const Selection& selection, const std::string& key, size_t bytes)
      VEDETTE_EXCLUDES(mu_);

  const size_t max_bytes_;
  std::atomic<uint64_t> hits_{0}, fills_{0}, misses_{0};
  mutable Mutex mu_;
  std::unordered_map<std::string, Place> places_ VEDETTE_GUARDED_BY(mu_);  // By matchers.
  std::list<const std::string*> recent_ VEDETTE_GUARDED_BY(mu_);           // Last used first.
  std::unordered_map<size_t, uint32_t> asked_ VEDETTE_GUARDED_BY(mu_);     // By hash; bounded.
  size_t bytes_ VEDETTE_GUARDED_BY(mu_) = 0;
};

}  // namespace vedette::tsdb
