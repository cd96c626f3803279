#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/base/status.h"
#include "server/storage/queryable.h"
#include "server/tsdb/query/damage_notes.h"
#include "server/tsdb/query/pieces.h"
#include "server/tsdb/query/selection.h"
#include "server/tsdb/store/store.h"
#include "server/tsdb/timeline/instants_table.h"

namespace vedette::tsdb {

// What is on disk of the selected series, one after the other: chunks, native histograms and
// roll-ups, each by a cursor a window. Who asks in the order of keys mostly finds the cursor where
// the next series begins.
//
//   sealed.BeginSeries();
//   for (size_t w = 0; w < selection.windows.size(); ++w) sealed.ReadChunks(w, series, metric, pieces);
//
// What is damaged is left out and noted. One thread.
class SealedReader {
 public:
  // `presence_only`: the values of samples do not matter, but for stale markers.
  SealedReader(const ReaderParts& parts, int64_t min_t_ms, int64_t max_t_ms, bool presence_only,
               std::shared_ptr<const Selection> selection, DamageNotes& notes)
      : parts_(parts),
        min_(min_t_ms),
        max_(max_t_ms),
        presence_only_(presence_only),
        selection_(std::move(selection)),
        notes_(notes),
        cursors_(selection_->windows.size()) {}

  // The pieces of the series before are done with: the instants that they show may go.
  void BeginSeries() { held_.clear(); }

  // What there is in a window of the selection, in order of the chunks' last instants.
  Status ReadChunks(size_t window, uint32_t series, uint32_t metric, Pieces& pieces);
  // `before`: the one before the first of them, where it is at hand and not set yet.
  Status ReadHistograms(size_t window, uint32_t series, uint32_t metric, Pieces& pieces,
                        std::shared_ptr<const Histogram>& before);
  // The window's samples as stretches, added to `rolled`. False: they are to be read themselves.
  bool ReadRollup(size_t window, uint32_t series, uint32_t metric,
                  std::vector<storage::RolledUp>& rolled);

  uint64_t bytes() const { return bytes_; }  // Of encoded samples, decoded so far.

 private:
  // Where the reader stands in a window.
  struct Cursor {
    std::optional<StoreIterator> chunks;
    std::optional<StoreIterator> histograms;
    std::optional<StoreIterator> rollups;
  };
  // The instants of a chunk and which of them are in the range: worked out once for all series that
  // share them. The hosts of a fleet take turns within a metric, so many are kept at hand.
  struct Shared {
    int32_t window = 0;
    uint32_t id = 0;
    InstantsTable::Instants instants;
    size_t first = 0;
    size_t last = 0;
  };
  static constexpr size_t kInstantsAtHand = 256;

  StoreIterator& Open(std::optional<StoreIterator>& cursor, Family family);
  bool PassDamage(StoreIterator& it);
  uint32_t FirstOffset(int64_t window_start_ms) const;
  Status AddChunk(int32_t window, int64_t last_t_ms, std::string_view bytes, Pieces& pieces);
  Result<const Shared*> FindInstants(int32_t window, uint32_t id);

  const ReaderParts& parts_;
  const int64_t min_;
  const int64_t max_;
  const bool presence_only_;
  const std::shared_ptr<const Selection> selection_;  // Before the iterators, which must go first.
  DamageNotes& notes_;
  std::vector<Cursor> cursors_;  // By window of the selection.
  // No longer at hand, but a piece of the series may refer to them.
  std::vector<InstantsTable::Instants> held_;
  std::array<Shared, kInstantsAtHand> shared_;  // By id.
  std::vector<storage::RolledUp> stretches_;
  uint64_t bytes_ = 0;
};

}  // namespace vedette::tsdb
