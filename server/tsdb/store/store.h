#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "server/tsdb/store/shape.h"

namespace rocksdb {
class FileSystem;
}

namespace vedette::tsdb {

// What the storage keeps apart on disk. docs/formats/keys.md says what is in each.
enum class Family : uint8_t {
  kMeta,        // Settings, and the key-value pairs of other modules.
  kSeries,      // Label pairs and series.
  kHead,        // The log: layouts, rows, blocks of what is not sealed.
  kChunks,      // Sealed value columns.
  kInstants,    // The instants that they share.
  kHistograms,  // Native histograms, one by one.
  kRollups,     // What samples come to, by stretches of time. Only where it is asked for: see has().
};
inline constexpr size_t kFamilies = 7;

struct StoreOptions {
  std::string path;
  size_t block_cache_bytes = 16 << 20;
  int64_t sync_interval_ms = 1000;  // 0: every write waits for the disk.
  // Nothing is written, and nothing mended; a process that has the directory open is not disturbed.
  // kNotFound where there is no storage; kDataLoss where it cannot be read without a repair.
  bool read_only = false;
  // There shall be a family for roll-ups. One that is there is kept in any case; a directory without
  // can be opened by a Vedette that does not know of it.
  bool rollups = false;
  // Bounds every memory table, so that a test with little data sees tables written and merged. 0: as
  // large as is best.
  size_t max_write_buffer_bytes = 0;
  // A memory table that is filled slowly is written out after so long, where it has become worth a
  // table. On a large server it is full before; on a small one memory, and what is read back at the
  // start, would grow for hours.
  int64_t max_filling_ms = 5 * 60'000;
  std::shared_ptr<rocksdb::FileSystem> file_system;  // Null: the machine's own. Tests bring faults.
  // Told what each sync of the log took that the thread of sync_interval_ms asked for. May be empty.
  std::function<void(double seconds)> log_synced;
};

class Store;
class StoreIterator;
struct Database;

// Changes that are made together or not at all. One thread.
class StoreBatch {
 public:
  StoreBatch();
  ~StoreBatch();
  StoreBatch(StoreBatch&&) noexcept;
  StoreBatch& operator=(StoreBatch&&) noexcept;

  void Put(const Store& store, Family family, std::string_view key, std::string_view value);
  void Delete(const Store& store, Family family, std::string_view key);
  // Every key that `it`, an iterator of the family, finds from `begin` up to, not with, `end`; what it
  // cannot read stays. One by one, and never as a range: a merge that has nothing but ranges to write
  // asserts in RocksDB 7.8 when the disk fails it, which kills.
  Status DeleteFound(const Store& store, Family family, StoreIterator& it, std::string_view begin,
                     std::string_view end);
  bool empty() const;
  size_t bytes() const;
  void Clear();

 private:
  friend class Store;
  struct Rep;
  std::unique_ptr<Rep> rep_;
};

// A view that no later write changes. Shared by the iterators made from it.
class StoreSnapshot {
 public:
  ~StoreSnapshot();

 private:
  friend class Store;
  struct Rep;
  explicit StoreSnapshot(std::unique_ptr<Rep> rep);
  std::unique_ptr<Rep> rep_;
};

// Walks one family in order of keys. Views are good until the next move.
class StoreIterator {
 public:
  ~StoreIterator();
  StoreIterator(StoreIterator&&) noexcept;
  StoreIterator& operator=(StoreIterator&&) noexcept;

  void Seek(std::string_view key);
  void SeekToFirst();
  void SeekForPrev(std::string_view key);  // The last key not after `key`.
  void Next();
  bool valid() const;
  std::string_view key() const;
  std::string_view value() const;
  Status status() const;
  // After a move that ended in kDataLoss: goes on at the first key behind the damage, and says
  // whether there is one. Keys of healthy files that lie in the damaged range are passed over too.
  bool SkipDamage();

 private:
  friend class Store;
  struct Rep;
  explicit StoreIterator(std::unique_ptr<Rep> rep);
  std::unique_ptr<Rep> rep_;
};

// Store is RocksDB as the storage needs it, and the only place that sees its headers.
//
// Durability: a write that returned OK is in the operating system's hands, so that it survives
// kill -9; a thread asks for the disk every sync_interval_ms, so that power loss costs no more.
// A failed write (a full disk) is kUnavailable, and so are all that follow until RecoverIfFailed()
// finds the disk willing again: it opens the directory anew, for which a full disk needs 2 MiB of
// room, and waits a second for those who read; readers who come meanwhile wait, too.
//
// A directory that is damaged is opened all the same, with what is left of it: damage() says what
// was found. One on a full disk is opened for reading, until there is room.
//
// Thread-safe.
class Store {
 public:
  static Result<std::unique_ptr<Store>> Open(const StoreOptions& options);
  ~Store();

  // Whether the directory has the family: all but kRollups are always there, and that one must not
  // be touched where it is not.
  bool has(Family family) const;

  Status Write(StoreBatch& batch, bool sync = false);
  Result<std::optional<std::string>> Get(Family family, std::string_view key,
                                         const StoreSnapshot* snapshot = nullptr) const;
  std::shared_ptr<const StoreSnapshot> TakeSnapshot() const;
  // `snapshot` null: what is there now. It must outlive the iterator. With `readahead` for long
  // walks, whose blocks do not push others out of the cache.
  StoreIterator Iterate(Family family, const StoreSnapshot* snapshot = nullptr,
                        bool long_walk = false) const;

  // Writes the memory tables out.
  Status Flush();
  // The same, and merges every file of every family.
  Status CompactAll();
  // The same of a range of keys.
  Status CompactRange(Family family, std::string_view begin, std::string_view end);
  // Gives back the files that lie wholly in the range, at once.
  Status DropRange(Family family, std::string_view begin, std::string_view end);
  Status Checkpoint(const std::string& directory);
  Status Sync();

  // After a failed write: tries to go on. OK where nothing is wrong.
  Status RecoverIfFailed();
  bool failed() const;
  std::string failure() const;  // "" where nothing is wrong.
  // What was found damaged when the directory was opened, a sentence each.
  const std::vector<std::string>& damage() const;
  // What was found since, by work in the background.
  std::vector<std::string> TakeNewDamage();

  // Reads every table to its end and compares its checksums. What is wrong, a sentence each; how
  // many were read goes to `files`.
  std::vector<std::string> VerifyTables(uint64_t* files) const;

  uint64_t disk_bytes() const;
  // Where they are: tables by family, the log, everything else. One look at the directory, so the
  // parts add up.
  struct Files {
    std::array<uint64_t, kFamilies> tables{};
    uint64_t log = 0;
    uint64_t other = 0;
    uint64_t total() const;
  };
  Files files() const;
  uint64_t wal_bytes() const;
  StoreMemory memory() const;
  StoreShape shape() const;  // Empty while the directory is opened again.

 private:
  friend class StoreBatch;
  struct Rep;
  explicit Store(std::unique_ptr<Rep> rep);
  Result<std::shared_ptr<Database>> Writable() const;
  std::unique_ptr<Rep> rep_;
};

}  // namespace vedette::tsdb
