#pragma once

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/iterator.h>
#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "server/tsdb/store/database.h"
#include "server/tsdb/store/error_listener.h"
#include "server/tsdb/store/store.h"
#include "server/tsdb/store/witness.h"

// What is behind the types of store.h. Inside this folder only: the headers of RocksDB go no further.
namespace vedette::tsdb {

inline rocksdb::Slice ToSlice(std::string_view s) { return {s.data(), s.size()}; }
inline std::string_view ToView(const rocksdb::Slice& s) { return {s.data(), s.size()}; }
inline size_t Index(Family family) { return static_cast<size_t>(family); }

rocksdb::Status Reopening();  // What those get who come while the directory is opened anew.

// A family's number under the name of a handle: batches need no more, and outlive what they were
// made for. A repair may change the number; Store::Rep::numbering tells.
class NamedFamily final : public rocksdb::ColumnFamilyHandle {
 public:
  explicit NamedFamily(const rocksdb::ColumnFamilyHandle& of)
      : name_(of.GetName()), id_(of.GetID()) {}
  const std::string& GetName() const override { return name_; }
  uint32_t GetID() const override { return id_.load(std::memory_order_relaxed); }
  void SetID(uint32_t id) { id_.store(id, std::memory_order_relaxed); }
  rocksdb::Status GetDescriptor(rocksdb::ColumnFamilyDescriptor*) override {
    return rocksdb::Status::NotSupported();
  }
  const rocksdb::Comparator* GetComparator() const override {
    return rocksdb::BytewiseComparator();
  }

 private:
  std::string name_;
  std::atomic<uint32_t> id_;
};

struct Store::Rep {
  explicit Rep(std::string p) : path(std::move(p)), witness(WitnessPath(path)) {}

  const std::string path;
  DatabaseSetup setup;
  std::unique_ptr<rocksdb::Env> env;  // Of a file system of its own.
  // Null while it is opened again. Whoever uses it holds it.
  std::atomic<std::shared_ptr<Database>> current;
  std::deque<NamedFamily> families;  // By Family, for batches.
  // Another one since a repair numbered the families anew: a batch from before must not be written.
  std::atomic<uint32_t> numbering{0};
  std::vector<std::string> damage;
  Witness witness;
  std::shared_ptr<ErrorListener> listener = std::make_shared<ErrorListener>();
  std::shared_ptr<rocksdb::Cache> cache;
  bool sync_always = false;
  std::function<void(double seconds)> log_synced;
  Mutex recover_mu;  // One recovery at a time.
  mutable Mutex reopen_mu;
  mutable CondVar reopened;
  bool reopening VEDETTE_GUARDED_BY(reopen_mu) = false;

  Mutex mu;
  CondVar stop_changed;
  bool stopping VEDETTE_GUARDED_BY(mu) = false;
  std::atomic<bool> unsynced{false};
  std::thread syncer;
  // The syncer's own: the memory table of each handle.
  struct Filling {
    uint64_t entries = 0;
    int64_t since_ms = 0;  // When it was seen to be new.
  };
  std::vector<Filling> filling;
  int64_t max_filling_ms = 0;
  int64_t next_filling_look_ms = 0;

  rocksdb::ColumnFamilyHandle* family(Family f) { return &families[Index(f)]; }
  std::shared_ptr<Database> Current() const { return current.load(std::memory_order_acquire); }
  // For reading. An answer a moment later is better than none: while the directory is being opened
  // anew, readers wait. Null: it could not be opened.
  std::shared_ptr<Database> ForReading() const;
  void Use(std::shared_ptr<Database> database);

  bool HasRoom() const;  // To open the directory.
  // RocksDB does not go on after an I/O error in its log or its list of files, and not reliably after
  // any other: it is opened anew. What was acknowledged is in its files, so nobody but those who ask
  // meanwhile notices: they wait.
  Status Reopen();

  rocksdb::Status WriteNow(Database& to, const rocksdb::WriteOptions& options,
                           rocksdb::WriteBatch* batch);
  void SyncLoop(int64_t interval_ms);
  // Not SyncWAL(): beside a write that fails at that moment RocksDB 7.8 asserts, which kills.
  rocksdb::Status SyncLog();
  // Memory tables that max_filling_ms is over for. Does not wait until they are written out.
  void WriteOutSlowlyFilled();
  // As far as RocksDB has it on the disk: what lies behind that in the file may be gone after a power
  // cut, and would be taken for cut off.
  void WitnessManifest(Database& of);

 private:
  void SetReopening(bool value);
  Status ReopenAlone();
};

struct StoreBatch::Rep {
  rocksdb::WriteBatch batch;
  uint32_t numbering = 0;  // That of its first change.

  // The batch, about to be given a change.
  rocksdb::WriteBatch& For(const Store::Rep& store) {
    if (batch.Count() == 0) numbering = store.numbering.load(std::memory_order_acquire);
    return batch;
  }
};

struct StoreSnapshot::Rep {
  std::shared_ptr<Database> database;  // Null: there was none.
  const rocksdb::Snapshot* snapshot = nullptr;
};

struct StoreIterator::Rep {
  std::shared_ptr<Database> database;  // Before what is made from it.
  std::unique_ptr<rocksdb::Iterator> it;
  std::string last;  // The key sought, or moved away from.
  std::function<std::unique_ptr<rocksdb::Iterator>()> make;

  bool damaged() const {
    return !it->Valid() && ToStatus(it->status()).code() == StatusCode::kDataLoss;
  }
  // With a new iterator: one of RocksDB 7.8 that has met damage may say that all is well.
  bool DamagedAt(const std::string& key) {
    it = make();
    it->Seek(ToSlice(key));
    return damaged();
  }
};

}  // namespace vedette::tsdb
