#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/model/labels.h"

namespace vedette::storage {

// Bytes that came over the network, body as it came, since the start of the server.
struct ReceivedBytes {
  enum class From : uint8_t {
    kTarget,  // A scrape: `labels` are the target's, which its series carry.
    kWriter,  // Remote write, OTLP, pushes: from whoever wrote.
  };
  From from = From::kTarget;
  Labels labels;
  uint64_t bytes = 0;
};

// What the storage is asked to account for.
struct CostRequest {
  // The value of this label: "__name__" is by metric, "job" by job. Empty: by label name.
  std::string label = "__name__";
  std::vector<ReceivedBytes> received;
};

struct CostRow {
  std::string name;
  uint64_t series = 0;
  uint64_t values = 0;  // By label name only: distinct values.
  uint64_t disk_bytes = 0;
  uint64_t memory_bytes = 0;
  uint64_t wire_bytes = 0;
  // By label name only: of the series that carry the label, so that one series is in many rows.
  uint64_t carried_disk_bytes = 0;
  uint64_t carried_memory_bytes = 0;
};

// What everything costs. The bytes of `rows` and of `shared` add up to `total`, which is what is on
// the disk, in memory and came over the wire: to the byte.
//
// A series owns its chunks and histograms; instants that several share are divided among them, and
// so is what the files of a family cost beyond their contents, and the log among the series that
// are in it. By label name a row is what the label itself costs (its text, its postings, its number
// in every series); the samples, which no label owns, are in the row "(samples)".
struct CostReport {
  std::vector<CostRow> rows;  // The most expensive on disk first, then in memory.
  CostRow shared;             // "(shared)": settings, lists of files, caches; no series' own.
  CostRow total;

  struct Disk {
    uint64_t chunks = 0;
    uint64_t histograms = 0;
    uint64_t instants = 0;
    uint64_t log = 0;  // RocksDB's, and what of it has become a table.
    uint64_t index = 0;
    uint64_t other = 0;
  } disk;
  struct Memory {
    uint64_t head = 0;
    uint64_t index = 0;
    uint64_t store = 0;  // Caches and memory tables.
  } memory;
};

}  // namespace vedette::storage
