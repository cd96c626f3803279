#pragma once

#include <cstdint>
#include <deque>
#include <string>
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
  void Add(const Labels& series, const Exemplar& exemplar, StoreBatch& batch) override;
  Result<std::vector<storage::SeriesExemplars>> Select(
      int64_t start_ms, int64_t end_ms,
      std::span<const std::vector<Matcher>> selectors) const override;

 private:
  struct Entry {
    uint64_t sequence = 0;
    Labels series;
    Exemplar exemplar;
  };
  Store& store_;
  const uint64_t capacity_;
  mutable Mutex mu_;
  uint64_t next_ VEDETTE_GUARDED_BY(mu_) = 0;
  std::deque<Entry> ring_ VEDETTE_GUARDED_BY(mu_);  // Oldest first.
};

}  // namespace vedette::tsdb
