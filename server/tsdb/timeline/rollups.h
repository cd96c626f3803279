#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "server/tsdb/store/store.h"

namespace vedette::tsdb {

// Rollups says which windows have been rolled up, and sees to it that no roll-up is believed whose
// samples have changed since. A series of a rolled window that has no roll-up there is read as it is:
// so whoever changes samples takes the roll-ups of their series away, in the same batch.
//
//   Rollups::Change change = rollups.Begin(window);       // Before anything is read for the batch,
//   if (change.rolled()) rollups.Remove(window, metric, series, batch);
//   store.Write(batch);                                    // and kept until it is written.
//
// The one who makes roll-ups reads the samples without a lock, and writes what it made only if
// nobody has begun a change of that window meanwhile. Thread-safe.
class Rollups {
 public:
  // `resolutions_ms`: those that are made, each a divisor of the window's length. None are where the
  // store has no family for them, as it could not be made on a disk that was full already.
  Rollups(Store& store, std::vector<int64_t> resolutions_ms);

  // Reads which windows are rolled up.
  Status Load();
  // Takes away what is there in a resolution that is not made any more. It may be needed again one
  // day, and would not know what had changed.
  Status DropOthers();

  bool any() const { return !resolutions_.empty(); }
  // The coarsest first.
  std::span<const int64_t> resolutions() const { return resolutions_; }
  bool Has(int64_t resolution_ms, int32_t window) const;

  // A change of samples of a window, under way for as long as this lives.
  class Change {
   public:
    Change() = default;
    Change(Rollups* rollups, int32_t window, bool rolled)
        : rollups_(rollups), window_(window), rolled_(rolled) {}
    Change(Change&& other) noexcept
        : rollups_(std::exchange(other.rollups_, nullptr)),
          window_(other.window_),
          rolled_(other.rolled_) {}
    Change& operator=(Change&& other) noexcept {
      std::swap(rollups_, other.rollups_);
      std::swap(window_, other.window_);
      std::swap(rolled_, other.rolled_);
      return *this;
    }
    ~Change() {
      if (rollups_ != nullptr) rollups_->End(window_);
    }
    // There may be roll-ups in the window: those of the changed series have to go.
    bool rolled() const { return rolled_; }

   private:
    Rollups* rollups_ = nullptr;
    int32_t window_ = 0;
    bool rolled_ = false;
  };
  Change Begin(int32_t window);
  void Remove(int32_t window, uint32_t metric, uint32_t series, StoreBatch& batch) const;

  // For the one who makes them. Begun before the samples are read; kUnavailable while somebody
  // changes the window: later, then.
  Result<uint64_t> StartMaking(int32_t window);
  // Writes the batch unless the window was changed since: then false, and it has to be made anew.
  Result<bool> WriteMade(int32_t window, uint64_t since, StoreBatch& batch);
  // From now on they are read.
  Status FinishMaking(int32_t window);
  void StopMaking(int32_t window);
  // The whole window goes.
  Status Drop(int32_t window);

 private:
  void End(int32_t window);

  Store& store_;
  const std::vector<int64_t> resolutions_;
  mutable Mutex mu_;
  std::set<std::pair<int64_t, int32_t>> rolled_ VEDETTE_GUARDED_BY(mu_);
  // Windows that the next start may find marked as rolled up: a write that failed may be in the log.
  std::set<int32_t> marked_ VEDETTE_GUARDED_BY(mu_);
  std::set<int64_t> others_ VEDETTE_GUARDED_BY(mu_);  // Resolutions of before.
  std::set<int32_t> making_ VEDETTE_GUARDED_BY(mu_);
  struct Changes {
    uint64_t under_way = 0;
    uint64_t begun = 0;
  };
  std::map<int32_t, Changes> changes_ VEDETTE_GUARDED_BY(mu_);
};

}  // namespace vedette::tsdb
