#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace vedette::tsdb {

// How the tables lie in RocksDB's levels, and how it keeps up with what is written. Counted now; the
// parts are read one after the other, so they may differ by what went on meanwhile.
struct StoreShape {
  struct Level {
    std::string family;
    int level = 0;
    uint64_t files = 0;
    uint64_t bytes = 0;
  };
  std::vector<Level> levels;  // Those with files, family by family, the youngest data first.
  uint64_t memtable_bytes = 0;
  uint64_t pending_compaction_bytes = 0;  // RocksDB's own estimate.
  uint64_t running_compactions = 0;
  uint64_t running_flushes = 0;
  uint64_t delayed_write_rate = 0;  // Bytes per second that writes are held to. 0: as fast as they come.
  bool writes_stopped = false;
};

// What RocksDB keeps in memory, in bytes.
struct StoreMemory {
  uint64_t memtables = 0;  // What is not in tables yet, and those of it that readers still hold.
  uint64_t block_cache = 0;
  uint64_t table_readers = 0;  // Indexes of the tables that are open.
  uint64_t total() const { return memtables + block_cache + table_readers; }
};

}  // namespace vedette::tsdb
