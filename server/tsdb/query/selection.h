#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "common/model/labels.h"
#include "server/storage/queryable.h"
#include "server/tsdb/head/head.h"
#include "server/tsdb/index/postings.h"
#include "server/tsdb/index/series_index.h"
#include "server/tsdb/store/store.h"
#include "server/tsdb/timeline/instants_table.h"
#include "server/tsdb/timeline/presence.h"
#include "server/tsdb/timeline/rollups.h"

namespace vedette::tsdb {

// What a reader needs of the storage. All outlive every querier.
struct ReaderParts {
  const Store& store;
  const SeriesIndex& index;
  const InstantsTable& instants;
  const Presence& presence;
  const Presence& histograms;
  const Rollups& rollups;
  const Head& head;
  HeadCounters& counters;
  int64_t window_ms;
  // While a copy of this lives no series that it may have found is taken out of the index. May be null.
  std::shared_ptr<const void> era;
};

// What one query sees of each timeline: no row that is newer than those that the first of its
// selectors found there. So `a - b` of one target is never of two scrapes. What comes late into the
// past is seen once it is there; and where a timeline has been sealed in between, which it is at one row
// of a hundred, what is newer is seen on disk. One query's; one thread.
class Moment {
 public:
  // The newest instant of the timeline that is seen: `newest` where nobody has asked before.
  int64_t NewestOf(uint32_t timeline, int64_t newest) {
    return newest_.try_emplace(timeline, newest).first->second;
  }

 private:
  std::unordered_map<uint32_t, int64_t> newest_;
};

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
  struct Seen {
    std::shared_ptr<const TimelineView> view;  // Null: it has just left memory.
    int64_t newest_t_ms = INT64_MIN;           // Of the moment.
  };
  std::unordered_map<uint32_t, Seen> views;
  std::vector<Head::Place> places;  // Of all series, one after the other;
  std::vector<uint32_t> places_of;  // where those of each begin.
  std::vector<int64_t> sealed_of;   // The newest instant of each that its timelines have sealed,
  int64_t foreign = INT64_MAX;      // and of all that may come from elsewhere.
  bool rollups = false;             // A window is read in them.
};

// Of the hints: sorted, takes_rolled and what that is told by.
std::shared_ptr<const Selection> Look(const ReaderParts& parts, Moment& moment, int64_t min_t_ms,
                                      int64_t max_t_ms, const storage::SelectHints& hints,
                                      const Postings& selected);

// Whether a window of the range has roll-ups that this reader may take for its samples. What reads
// them finds the same answers as in the samples, but for the last digits of sums.
bool MayReadRollups(const ReaderParts& parts, int64_t min_t_ms, int64_t max_t_ms,
                    const storage::SelectHints& hints);

}  // namespace vedette::tsdb
