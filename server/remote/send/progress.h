#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "common/base/mutex.h"
#include "server/remote/send/piece.h"

namespace vedette::remote {

// Progress knows which entries of the queue are wholly delivered, although their pieces go through
// several shards: the cursor moves over the first run of finished entries and never past one that
// is not. Thread-safe.
class Progress {
 public:
  explicit Progress(uint64_t cursor) : cursor_(cursor) {}

  // `entry` has been taken apart into so many pieces, none of which was handed on yet. Entries come
  // in rising order; those left out count as delivered.
  void Begin(uint64_t entry, uint32_t pieces) {
    MutexLock lock(mu_);
    while (cursor_ + open_.size() < entry) open_.push_back(0);
    open_.push_back(pieces);
    Advance();
  }

  // Returns the cursor: every entry before it is delivered.
  uint64_t Done(std::span<const Piece> pieces) {
    MutexLock lock(mu_);
    for (const Piece& p : pieces) --open_[p.entry - cursor_];
    Advance();
    return cursor_;
  }

  uint64_t cursor() const {
    MutexLock lock(mu_);
    return cursor_;
  }

 private:
  void Advance() VEDETTE_REQUIRES(mu_) {
    while (!open_.empty() && open_.front() == 0) {
      open_.pop_front();
      ++cursor_;
    }
  }

  mutable Mutex mu_;
  uint64_t cursor_ VEDETTE_GUARDED_BY(mu_);
  std::deque<uint32_t> open_ VEDETTE_GUARDED_BY(mu_);  // Pieces left, from the cursor on.
};

}  // namespace vedette::remote
