#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/model/snapshot.h"
#include "common/wire/pull.h"

namespace vedette::agent {

// Ring keeps snapshots that no server has yet, so that a server that was away finds no gap. It
// holds them as pull frames: a snapshot of a thousand series that has one before it is some hundred
// bytes, so that 32 MiB are days of a quiet host.
//
//   ring.Push(snapshot);
//   for (const Snapshot& s : ring.Oldest(100)) Send(s);
//   ring.Done(sequences_that_arrived);
//
// Frames stand on one another in segments of kSegmentFrames; what is over the bound is dropped a
// segment at a time, the oldest first. Taking snapshots out decodes their segments. Thread-safe.
class Ring {
 public:
  static constexpr size_t kSegmentFrames = 64;

  explicit Ring(size_t max_bytes) : max_bytes_(max_bytes) {}

  void Push(const Snapshot& snapshot) VEDETTE_EXCLUDES(mu_);

  // Those that nobody has, oldest first, none of `except`.
  std::vector<Snapshot> Oldest(size_t max_count, std::span<const uint64_t> except = {}) const
      VEDETTE_EXCLUDES(mu_);

  // They arrived and need not be kept. Unknown ones are ignored.
  void Done(std::span<const uint64_t> sequences) VEDETTE_EXCLUDES(mu_);

  // How many nobody has, but for `except`.
  size_t waiting(std::span<const uint64_t> except = {}) const VEDETTE_EXCLUDES(mu_);
  size_t bytes() const VEDETTE_EXCLUDES(mu_);
  // Snapshots that were dropped before anybody had them.
  uint64_t dropped() const VEDETTE_EXCLUDES(mu_);

 private:
  struct Entry {
    uint64_t sequence = 0;
    bool done = false;
    std::string frame;
  };
  struct Segment {
    std::vector<Entry> entries;
    size_t bytes = 0;
    size_t waiting = 0;
  };

  void DropFront() VEDETTE_REQUIRES(mu_);

  const size_t max_bytes_;
  mutable Mutex mu_;
  std::deque<Segment> segments_ VEDETTE_GUARDED_BY(mu_);
  std::unique_ptr<wire::PullEncoder> encoder_ VEDETTE_GUARDED_BY(mu_);  // Of the last segment.
  size_t bytes_ VEDETTE_GUARDED_BY(mu_) = 0;
  uint64_t dropped_ VEDETTE_GUARDED_BY(mu_) = 0;
};

}  // namespace vedette::agent
