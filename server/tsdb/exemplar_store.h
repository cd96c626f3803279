#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/mutex.h"
#include "server/storage/queryable.h"
#include "server/tsdb/head/head.h"
#include "server/tsdb/store/damage.h"

namespace vedette::tsdb {

// The newest exemplars, a fixed number of them: a ring in memory and, slot for slot, in the store.
// Thread-safe.
class ExemplarStore final : public ExemplarSink, public storage::ExemplarQueryable {
 public:
  ExemplarStore(Store& store, uint64_t capacity) : store_(store), capacity_(capacity) {}

  Status Load(const DamageSink& damage);
  bool Add(const Labels& series, const Exemplar& exemplar, StoreBatch& batch) override;
  struct Stats {
    uint64_t appended = 0;  // Since the start.
    uint64_t kept = 0;
    uint64_t series = 0;    // That have one.
    int64_t oldest_ms = 0;  // The first of those kept, in the order they came; 0: there is none.
    uint64_t capacity = 0;
  };
  Stats stats() const;
  Result<std::vector<storage::SeriesExemplars>> Select(
      int64_t start_ms, int64_t end_ms,
      std::span<const std::vector<Matcher>> selectors) const override;

 private:
  struct Entry {
    uint64_t sequence = 0;
    Labels series;
    Exemplar exemplar;
  };
  void Push(Entry entry) VEDETTE_REQUIRES(mu_);

  Store& store_;
  const uint64_t capacity_;
  mutable Mutex mu_;
  uint64_t next_ VEDETTE_GUARDED_BY(mu_) = 0;
  uint64_t appended_ VEDETTE_GUARDED_BY(mu_) = 0;
  std::deque<Entry> ring_ VEDETTE_GUARDED_BY(mu_);  // Oldest first.
  // How many of them a series has, by the hash of its labels.
  std::unordered_map<uint64_t, uint32_t> in_ring_ VEDETTE_GUARDED_BY(mu_);
};

}  // namespace vedette::tsdb
