#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "server/tsdb/index/postings.h"
#include "server/tsdb/store/damage.h"
#include "server/tsdb/store/store.h"

namespace vedette::tsdb {

// Which series have sealed data in which window: what lets a query skip windows without a look at
// the disk. Kept in memory, and in the store as pieces that are only ever added to until their
// window goes. Thread-safe.
class Presence {
 public:
  // `prefix` of the keys: "presence/" for all sealed data, "histograms/" for native histograms.
  Presence(Store& store, std::string prefix) : store_(store), prefix_(std::move(prefix)) {}

  // What is damaged is left out and said; the owner then finds the series by their chunks, and
  // Confirm()s them.
  Status Load(const DamageSink& damage);

  // What one commit has marked and not confirmed yet: who removes series meanwhile leaves these out.
  // One thread's, until the commit has been confirmed or has failed.
  class Coming {
   public:
    Coming() = default;
    ~Coming() { Clear(); }
    Coming(const Coming&) = delete;
    Coming& operator=(const Coming&) = delete;
    void Clear();

   private:
    friend class Presence;
    Presence* presence_ = nullptr;  // Null: nothing is marked.
    std::vector<std::pair<int32_t, uint32_t>> marked_;
  };
  // Records the series in `batch`; once that is written, Confirm() shows them to readers. `coming`
  // lives on until then.
  void Mark(int32_t window, std::span<const uint32_t> series, StoreBatch& batch, Coming& coming);
  void Confirm(int32_t window, std::span<const uint32_t> series);
  Status Drop(int32_t window, StoreBatch& batch);

  // A look at a window's data in order to remove some. Made before the first of them is read: a
  // commit that comes meanwhile may bring series data that the look has not seen.
  class Removal {
   public:
    Removal(Presence& presence, int32_t window);
    ~Removal();
    Removal(const Removal&) = delete;
    Removal& operator=(const Removal&) = delete;

   private:
    friend class Presence;
    Presence& presence_;
    const int32_t window_;
    Postings touched_;  // Marked since it began, or on their way then. Guarded by presence_.mu_.
  };
  // These series have no data in the window any more, but for those that a commit has brought some
  // of meanwhile. Shown at once: where the batch then fails, what was to go is out of sight until the
  // next start.
  Status Remove(const Removal& removal, std::span<const uint32_t> series, StoreBatch& batch);

  // Windows that have data, ascending, within first..last.
  std::vector<int32_t> Windows(int32_t first, int32_t last) const;
  bool Has(int32_t window, uint32_t series) const;
  uint32_t SeriesBound() const;  // One more than the highest series of all windows.
  Postings In(int32_t first, int32_t last) const;
  Postings Among(int32_t window, const Postings& series) const;

  // Grow when a series is shown in a window that it was not in, and when one is taken out.
  uint64_t additions() const { return additions_; }
  uint64_t removals() const { return removals_; }

 private:
  std::string PieceKey(int32_t window, uint64_t piece) const;
  // Adds the series that are on their way to the window.
  void AddComing(int32_t window, Postings& to) const VEDETTE_REQUIRES(mu_);
  // Of the pieces that are there now: one that a commit adds meanwhile stays.
  Status DeletePieces(int32_t window, StoreBatch& batch) const;

  Store& store_;
  const std::string prefix_;
  mutable Mutex mu_;
  std::map<int32_t, Postings> windows_ VEDETTE_GUARDED_BY(mu_);
  uint64_t next_piece_ VEDETTE_GUARDED_BY(mu_) = 0;
  std::set<const Coming*> coming_ VEDETTE_GUARDED_BY(mu_);
  std::set<Removal*> removals_under_way_ VEDETTE_GUARDED_BY(mu_);
  std::atomic<uint64_t> additions_{0};
  std::atomic<uint64_t> removals_{0};
};

}  // namespace vedette::tsdb
