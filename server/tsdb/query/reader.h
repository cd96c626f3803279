#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "server/storage/queryable.h"
#include "server/tsdb/head/head.h"
#include "server/tsdb/index/series_index.h"
#include "server/tsdb/store/store.h"
#include "server/tsdb/timeline/instants_table.h"
#include "server/tsdb/timeline/presence.h"

namespace vedette::tsdb {

// What a reader needs of the storage. All outlive every querier.
struct ReaderParts {
  const Store& store;
  const SeriesIndex& index;
  const InstantsTable& instants;
  const Presence& presence;
  const Presence& histograms;
  const Head& head;
  HeadCounters& counters;
  int64_t window_ms;
};

// Sealed chunks and open rows as one: a series is read piece by piece, pieces that follow each
// other in time are put end to end, others are merged. Never takes a lock that a commit holds
// through a write.
std::unique_ptr<storage::Querier> MakeQuerier(const ReaderParts& parts, int64_t min_t_ms,
                                              int64_t max_t_ms);

}  // namespace vedette::tsdb
