#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/tsdb/head/head.h"
#include "server/tsdb/store/keys.h"

namespace vedette::tsdb {

// A sample that is older than what its timeline still holds open.
struct Head::Late {
  uint32_t series = 0;
  int64_t t_ms = 0;
  double value = 0;
};

// What one commit will change: gathered in a batch, shown to readers once that is written.
struct Head::Commit {
  StoreBatch batch;
  storage::CommitStats stats;
  std::vector<Timeline*> touched;
  std::vector<Late> late;
  std::vector<std::pair<int32_t, uint32_t>> present;     // Window and series of late samples.
  std::vector<std::pair<int32_t, uint32_t>> histograms;  // The same of histograms.
  Presence::Coming coming, coming_histograms;            // Both, until they are confirmed.
  std::vector<InstantsTable::Interned> interned;
  std::map<int32_t, Rollups::Change> changes;  // Of sealed windows, until they are written.
  int64_t min_t_ms = INT64_MAX;
  int64_t max_t_ms = INT64_MIN;
  bool rewrites = false;  // Changes more than the ends of timelines.
};

inline constexpr std::string_view kTimeRangeKey = "time/range";
// The oldest and newest sample, so that a start need not look for them.
void PutTimeRange(const Store& store, StoreBatch& batch, int64_t min_t_ms, int64_t max_t_ms);

// Row records: epoch varint | form u8 (0 whole, 1 some positions) | instant zigzag | values |
// checksum u32. docs/formats/wal.md.
std::string WholeRowRecord(uint64_t epoch, const OpenRow& row, const OpenRow* before);
std::string SparseRowRecord(uint64_t epoch, int64_t t_ms,
                            const std::vector<std::pair<uint32_t, double>>& values);
std::string LayoutRecord(std::span<const uint32_t> series);

// Puts the records of one timeline, in the order of their keys, together again.
class LogReplay {
 public:
  struct Restored {
    bool loose = false;
    std::string owner;
    uint64_t epoch = 0;
    uint32_t next_slot = 0;
    int64_t sealed_t_ms = INT64_MIN;
    std::vector<uint32_t> layout;
    std::shared_ptr<TimelineView> view;
    uint64_t damaged = 0;
  };

  Status Add(HeadKind kind, uint32_t slot, std::string_view value);
  Restored Finish();

 private:
  Restored out_;
  uint64_t sealed_epoch_ = 0;
  std::vector<std::shared_ptr<const Block>> blocks_;
  std::vector<std::pair<uint32_t, std::string>> rows_;  // Slot and record.
};

}  // namespace vedette::tsdb
