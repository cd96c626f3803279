#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "common/base/status.h"
#include "server/tsdb/compact/compactor.h"
#include "server/tsdb/compact/retention_rule.h"
#include "server/tsdb/index/postings.h"
#include "server/tsdb/index/series_index.h"
#include "server/tsdb/store/store.h"
#include "server/tsdb/timeline/presence.h"

namespace vedette::tsdb {

struct RetentionOptions {
  int64_t keep_ms = 0;     // 0: for ever.
  uint64_t max_bytes = 0;  // On disk; the oldest windows go first, whatever the rules say. 0: any.
  std::vector<RetentionRule> rules;
};

// Takes away what is too old, a window at a time: whole where everything in it is, else series by
// series. Time counts back from the newest sample, as Prometheus does. Under the owner's lock.
class Retention {
 public:
  Retention(RetentionOptions options, int64_t window_ms, Store& store, const SeriesIndex& index,
            Presence& presence, Compactor& compactor)
      : options_(std::move(options)),
        window_ms_(window_ms),
        store_(store),
        index_(index),
        presence_(presence),
        compactor_(compactor) {}

  Status Apply(int64_t newest_ms);

  // Windows that went whole since the start; from any thread.
  uint64_t dropped_by_time() const { return dropped_by_time_; }
  uint64_t dropped_by_size() const { return dropped_by_size_; }

 private:
  // Whether data that ended so long ago are to go.
  static bool Over(int64_t keep_ms, int64_t age_ms) { return keep_ms > 0 && age_ms >= keep_ms; }
  Status DropByRule(int32_t window, int64_t age_ms, const std::vector<Postings>& of_rules);

  const RetentionOptions options_;
  const int64_t window_ms_;
  Store& store_;
  const SeriesIndex& index_;
  Presence& presence_;
  Compactor& compactor_;
  std::atomic<uint64_t> dropped_by_time_{0};
  std::atomic<uint64_t> dropped_by_size_{0};
};

}  // namespace vedette::tsdb
