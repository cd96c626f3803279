#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace vedette::agent {

// RingFiles is the ring on disk, so that a restart of the agent loses nothing that the ring held:
// a folder with one file a segment and one that names the run. docs/formats/ring.md has every byte.
//
// What is written survives the death of the process; the last seconds before a power cut may be
// missing. A damaged file costs what comes after the damage in it. An error of the disk costs the
// copy, not the ring: it is counted and told once, and the ring goes on in memory.
//
// Not thread-safe: the ring calls it under its lock.
class RingFiles {
 public:
  struct Entry {
    uint64_t sequence = 0;
    bool done = false;
    std::string frame;
  };
  struct Segment {
    uint64_t number = 0;
    std::vector<Entry> entries;
  };

  // Makes the folder if it is not there, and takes it: FAILED_PRECONDITION while another agent has
  // it. A folder that is new gets `fresh_run_id`.
  static Result<std::unique_ptr<RingFiles>> Open(const std::string& folder, uint64_t fresh_run_id);
  ~RingFiles();
  RingFiles(const RingFiles&) = delete;
  RingFiles& operator=(const RingFiles&) = delete;

  // The run goes on over restarts: a server sees one agent that was away for a while.
  uint64_t run_id() const { return run_id_; }
  // How often the last server asked; 0: none did.
  int64_t interval_ms() const { return interval_ms_; }
  void SetInterval(int64_t interval_ms);

  // Every segment there is, oldest first. Once, before anything is added.
  std::vector<Segment> Load();

  void Add(uint64_t segment, uint64_t sequence, std::string_view frame);
  void Done(uint64_t segment, std::span<const uint64_t> sequences);
  void Remove(uint64_t segment);

  // Writes that failed, and damaged pieces that were left out.
  uint64_t failures() const { return failures_; }

 private:
  RingFiles(std::string folder, int lock) : folder_(std::move(folder)), lock_(lock) {}

  std::string PathOf(uint64_t segment) const;
  void Append(uint64_t segment, char kind, std::string_view payload);
  Status WriteMeta();
  void Failed(const std::string& what, int error);

  const std::string folder_;
  const int lock_;
  uint64_t run_id_ = 0;
  int64_t interval_ms_ = 0;
  uint64_t failures_ = 0;
  // The segment that is being written.
  uint64_t open_segment_ = 0;
  int open_file_ = -1;
};

// The records of a segment's file up to the first damage; `damaged` says whether there was one.
std::vector<RingFiles::Entry> ReadRingSegment(std::string_view bytes, bool* damaged);

}  // namespace vedette::agent
