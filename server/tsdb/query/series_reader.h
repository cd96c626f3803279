#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "server/storage/queryable.h"
#include "server/tsdb/head/head.h"
#include "server/tsdb/index/postings.h"
#include "server/tsdb/query/selection.h"

namespace vedette::tsdb {

// Sealed chunks and open rows as one: a series is read piece by piece, pieces that follow each
// other in time are put end to end, others are merged. Never takes a lock that a commit holds
// through a write.
class SeriesReader : public storage::SeriesSet {
 public:
  // The number of the series that at() shows.
  virtual uint32_t series() const = 0;
  // Of all series that were selected, in the order in which those with samples are shown.
  virtual std::vector<uint32_t> InOrder() const = 0;
  // What the reader sees of a timeline that has one of its series. Null: it was not in memory.
  virtual std::shared_ptr<const TimelineView> view(uint32_t timeline) const = 0;
};

// Of the hints: sorted, limit, takes_rolled, presence_only, labels. Divides into parts unless there is a limit.
std::unique_ptr<SeriesReader> ReadSeries(const ReaderParts& parts, Moment& moment,
                                         int64_t min_t_ms, int64_t max_t_ms,
                                         const storage::SelectHints& hints,
                                         const Postings& selected);

}  // namespace vedette::tsdb
