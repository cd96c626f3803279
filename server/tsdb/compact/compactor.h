#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>

#include "common/base/status.h"
#include "server/tsdb/store/store.h"
#include "server/tsdb/timeline/instants_table.h"
#include "server/tsdb/timeline/presence.h"
#include "server/tsdb/timeline/rollups.h"

namespace vedette::tsdb {

// Rewrites what is sealed: the chunks of a series in a window become few long ones, old windows go
// whole, deleted samples are taken out. One call at a time; readers and commits go on meanwhile.
class Compactor {
 public:
  // Values in a chunk after merging: long enough that the key and the header weigh nothing, short
  // enough that an hour costs no whole day of decoding.
  static constexpr size_t kMergedValues = 1024;

  struct Outcome {
    uint64_t series = 0;
    uint64_t samples = 0;
  };

  // `numbers`: for chunks, those of the timelines are from it, too.
  Compactor(Store& store, IdSource& numbers, InstantsTable& instants, Presence& presence,
            Presence& histograms, Rollups& rollups, int64_t window_ms,
            std::atomic<uint64_t>& damaged)
      : store_(store),
        numbers_(numbers),
        instants_(instants),
        presence_(presence),
        histograms_(histograms),
        rollups_(rollups),
        window_ms_(window_ms),
        damaged_(damaged) {}

  // `pace` is told the bytes written after each batch; it may wait. kCancelled from it stops.
  using Pace = std::function<Status(uint64_t bytes)>;
  Result<Outcome> Merge(int32_t window, const Pace& pace);

  // Makes the roll-ups of every series of the window, in each resolution. kUnavailable where
  // samples of it were changed meanwhile: it is to be tried again.
  Status RollUp(int32_t window, const Pace& pace);

  // Everything of the window, at once. A crash in between is finished by FinishDrops(), at the
  // start.
  Status Drop(int32_t window);
  Status FinishDrops();

  // Everything that these series have in the window.
  Status DropSeries(int32_t window, std::span<const uint32_t> metrics,
                    std::span<const uint32_t> series);

  // Samples of these series (metric and id) at start_ms <= t <= end_ms.
  Result<Outcome> Delete(std::span<const uint32_t> metrics, std::span<const uint32_t> series,
                         int64_t start_ms, int64_t end_ms);
  // Writes the tables of these metrics anew, in the windows of the range, without what was deleted.
  Status FreeSpace(std::span<const uint32_t> metrics, int64_t start_ms, int64_t end_ms);

 private:
  struct Group;
  struct Decoded;
  // The chunks of a window as they are now, those of one series together.
  Status ForEachSeries(int32_t window, const std::function<Status(const Group&)>& see);
  Decoded Decode(const Group& group);
  Status MakeRollups(int32_t window, uint64_t since, const Pace& pace);
  Status Rewrite(const Group& group, int64_t delete_from_ms, int64_t delete_to_ms,
                 StoreBatch& batch, InstantsTable::Pending& interned, uint32_t& number,
                 Outcome& outcome, uint64_t* kept);
  Status DropFamilies(int32_t window);
  bool PassDamage(StoreIterator& it);

  Store& store_;
  IdSource& numbers_;
  InstantsTable& instants_;
  Presence& presence_;
  Presence& histograms_;
  Rollups& rollups_;
  const int64_t window_ms_;
  std::atomic<uint64_t>& damaged_;
};

}  // namespace vedette::tsdb
