#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "agent/snapshot/ring_files.h"
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

  // With `files` the ring begins with what they hold, and they follow it from then on. They outlive
  // it. Frames on disk that cannot be decoded are left out.
  explicit Ring(size_t max_bytes, RingFiles* files = nullptr);

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
  // The highest sequence number the ring began with; 0: none.
  uint64_t loaded_sequence() const { return loaded_sequence_; }
  // For the sampler of the next run; nothing without files.
  void NoteInterval(int64_t interval_ms) VEDETTE_EXCLUDES(mu_);
  // Of the files: what could not be written or read.
  uint64_t file_failures() const VEDETTE_EXCLUDES(mu_);

 private:
  struct Entry {
    uint64_t sequence = 0;
    bool done = false;
    std::string frame;
  };
  struct Segment {
    uint64_t number = 0;
    std::vector<Entry> entries;
    size_t bytes = 0;
    size_t waiting = 0;
  };

  void Load() VEDETTE_EXCLUDES(mu_);
  void DropFront() VEDETTE_REQUIRES(mu_);

  const size_t max_bytes_;
  RingFiles* const files_;  // May be null.
  uint64_t loaded_sequence_ = 0;
  mutable Mutex mu_;
  uint64_t next_segment_ VEDETTE_GUARDED_BY(mu_) = 1;
  std::deque<Segment> segments_ VEDETTE_GUARDED_BY(mu_);
  std::unique_ptr<wire::PullEncoder> encoder_ VEDETTE_GUARDED_BY(mu_);  // Of the last segment.
  size_t bytes_ VEDETTE_GUARDED_BY(mu_) = 0;
  uint64_t dropped_ VEDETTE_GUARDED_BY(mu_) = 0;
};

}  // namespace vedette::agent
