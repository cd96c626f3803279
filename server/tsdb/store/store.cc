#include "server/tsdb/store/store.h"

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/options.h>
#include <rocksdb/utilities/checkpoint.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "common/base/strings.h"
#include "server/tsdb/store/fail_point.h"
#include "server/tsdb/store/read_ahead.h"
#include "server/tsdb/store/setup.h"
#include "server/tsdb/store/store_rep.h"

namespace vedette::tsdb {

Store::Store(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}

Result<std::unique_ptr<Store>> Store::Open(const StoreOptions& options) {
  auto rep = std::make_unique<Rep>(options.path);
  rep->sync_always = options.sync_interval_ms == 0;
  rep->log_synced = options.log_synced;
  rep->max_filling_ms = options.max_filling_ms;
  rep->cache = rocksdb::NewLRUCache(options.block_cache_bytes, 2);

  std::error_code error;
  if (!options.read_only) std::filesystem::create_directories(options.path, error);
  if (error) {
    return FailedPrecondition(
        StrCat("storage directory ", Quoted(options.path), ": ", error.message()));
  }
  if (options.file_system) rep->env = rocksdb::NewCompositeEnv(options.file_system);
  rep->setup = MakeSetup(options, rep->cache, rep->listener, rep->env.get());
  const Result<std::optional<WitnessRecord>> witness = Witness::Read(WitnessPath(options.path));
  if (!witness.ok()) rep->damage.emplace_back(witness.status().message());
  WillReadLog(options.path);
  Result<std::unique_ptr<Database>> opened = options.read_only
                                                 ? ReadDatabase(rep->setup, rep->damage)
                                                 : OpenDatabase(rep->setup, rep->damage);
  if (!opened.ok()) {
    return opened.status().Annotate(StrCat("storage directory ", Quoted(options.path)));
  }
  WillReadTables(options.path, *(*opened)->db);
  if (witness.ok() && *witness) {
    const uint64_t reached =
        std::max((*opened)->db->GetLatestSequenceNumber(), (*opened)->read_up_to);
    std::string missed = Witness::Missed(reached, (*witness)->sequence);
    if (!missed.empty()) rep->damage.push_back(std::move(missed));
  }
  if ((*opened)->read_only) {
    rep->listener->Note(options.read_only
                            ? rocksdb::Status::NotSupported("opened for reading only")
                            : rocksdb::Status::NoSpace("the disk is full; opened for reading only"));
  }
  rep->Use(std::shared_ptr<Database>(*std::move(opened)));
  rep->syncer = std::thread(
      [r = rep.get(), interval = rep->sync_always ? 1000 : options.sync_interval_ms] {
        r->SyncLoop(interval);
      });
  pthread_setname_np(rep->syncer.native_handle(), "tsdb-wal-sync");
  return std::unique_ptr<Store>(new Store(std::move(rep)));
}

Store::~Store() {
  {
    MutexLock lock(rep_->mu);
    rep_->stopping = true;
  }
  rep_->stop_changed.NotifyAll();
  if (rep_->syncer.joinable()) rep_->syncer.join();
  const std::shared_ptr<Database> now = rep_->Current();
  if (now == nullptr || now->read_only) return;
  // Best effort: what was acknowledged is in the system's hands.
  if (!rep_->listener->failed()) (void)rep_->SyncLog();
  rep_->WitnessManifest(*now);
}

bool Store::has(Family family) const { return Index(family) < rep_->families.size(); }

Status Store::Write(StoreBatch& batch, bool sync) {
  const std::shared_ptr<Database> now = rep_->Current();
  // After an error RocksDB is left alone until RecoverIfFailed(): it may assert.
  if (now == nullptr || now->read_only || rep_->listener->failed()) {
    return Unavailable(StrCat("storage ", Quoted(rep_->path), " refuses writes: ",
                              now == nullptr ? Reopening().ToString() : rep_->listener->error()));
  }
  if (!batch.empty() && batch.rep_->numbering != rep_->numbering.load(std::memory_order_acquire)) {
    return Unavailable(StrCat("storage ", Quoted(rep_->path), " was repaired meanwhile"));
  }
  rocksdb::WriteOptions options;
  options.sync = sync || rep_->sync_always;
  const rocksdb::Status s = rep_->WriteNow(*now, options, &batch.rep_->batch);
  if (s.ok()) {
    if (!options.sync && !rep_->unsynced.load(std::memory_order_relaxed)) rep_->unsynced = true;
    return {};
  }
  rep_->listener->Note(s);
  return Unavailable(StrCat("storage ", Quoted(rep_->path), " refuses writes: ", s.ToString()));
}

Result<std::optional<std::string>> Store::Get(Family family, std::string_view key,
                                              const StoreSnapshot* snapshot) const {
  rocksdb::ReadOptions options;
  std::shared_ptr<Database> from;
  if (snapshot != nullptr) {
    options.snapshot = snapshot->rep_->snapshot;
    from = snapshot->rep_->database;
  } else {
    from = rep_->ForReading();
  }
  if (from == nullptr) return ToStatus(Reopening());
  std::string value;
  const rocksdb::Status s = from->db->Get(options, from->handle(Index(family)), ToSlice(key), &value);
  if (s.IsNotFound()) return std::optional<std::string>();
  if (!s.ok()) return ToStatus(s).Annotate(kFamilyNames[Index(family)]);
  return std::optional<std::string>(std::move(value));
}

std::shared_ptr<const StoreSnapshot> Store::TakeSnapshot() const {
  auto rep = std::make_unique<StoreSnapshot::Rep>();
  rep->database = rep_->ForReading();
  if (rep->database) rep->snapshot = rep->database->db->GetSnapshot();
  return std::shared_ptr<const StoreSnapshot>(new StoreSnapshot(std::move(rep)));
}

StoreIterator Store::Iterate(Family family, const StoreSnapshot* snapshot, bool long_walk) const {
  rocksdb::ReadOptions options;
  std::shared_ptr<Database> from;
  if (snapshot != nullptr) {
    options.snapshot = snapshot->rep_->snapshot;
    from = snapshot->rep_->database;
  } else {
    from = rep_->ForReading();
  }
  if (long_walk) {
    options.readahead_size = 1 << 20;
    options.fill_cache = false;
  }
  auto rep = std::make_unique<StoreIterator::Rep>();
  rep->make = [from = from.get(), options, family] {
    return std::unique_ptr<rocksdb::Iterator>(
        from == nullptr ? rocksdb::NewErrorIterator(Reopening())
                        : from->db->NewIterator(options, from->handle(Index(family))));
  };
  rep->database = std::move(from);
  rep->it = rep->make();
  return StoreIterator(std::move(rep));
}

Status Store::Flush() {
  VEDETTE_ASSIGN_OR_RETURN(const std::shared_ptr<Database> now, Writable());
  return ToStatus(now->db->Flush(rocksdb::FlushOptions(), now->handles));
}

Status Store::CompactAll() {
  VEDETTE_ASSIGN_OR_RETURN(const std::shared_ptr<Database> now, Writable());
  for (rocksdb::ColumnFamilyHandle* handle : now->handles) {
    rocksdb::FlushOptions flush;
    VEDETTE_RETURN_IF_ERROR(ToStatus(now->db->Flush(flush, handle)));
    rocksdb::CompactRangeOptions options;
    options.exclusive_manual_compaction = false;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
    VEDETTE_RETURN_IF_ERROR(ToStatus(now->db->CompactRange(options, handle, nullptr, nullptr)));
    FailPoint("compact.family");
  }
  return {};
}

Status Store::CompactRange(Family family, std::string_view begin, std::string_view end) {
  const rocksdb::Slice b = ToSlice(begin);
  const rocksdb::Slice e = ToSlice(end);
  rocksdb::CompactRangeOptions options;
  options.exclusive_manual_compaction = false;
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  VEDETTE_ASSIGN_OR_RETURN(const std::shared_ptr<Database> now, Writable());
  rocksdb::ColumnFamilyHandle* handle = now->handle(Index(family));
  VEDETTE_RETURN_IF_ERROR(ToStatus(now->db->Flush(rocksdb::FlushOptions(), handle)));
  return ToStatus(now->db->CompactRange(options, handle, &b, &e));
}

Status Store::DropRange(Family family, std::string_view begin, std::string_view end) {
  const rocksdb::Slice b = ToSlice(begin);
  const rocksdb::Slice e = ToSlice(end);
  VEDETTE_ASSIGN_OR_RETURN(const std::shared_ptr<Database> now, Writable());
  VEDETTE_RETURN_IF_ERROR(ToStatus(rocksdb::DeleteFilesInRange(
      now->db.get(), now->handle(Index(family)), &b, &e, /*include_end=*/false)));
  // What is left lies in files that others share.
  constexpr size_t kBatchBytes = 1 << 20;
  StoreBatch rest;
  StoreIterator it = Iterate(family, nullptr, /*long_walk=*/true);
  for (it.Seek(begin); it.valid() || it.SkipDamage(); it.Next()) {
    if (it.key() >= end) break;
    rest.Delete(*this, family, it.key());
    if (rest.bytes() < kBatchBytes) continue;
    VEDETTE_RETURN_IF_ERROR(Write(rest));
    rest.Clear();
  }
  if (const Status s = it.status(); !s.ok() && s.code() != StatusCode::kDataLoss) return s;
  return rest.empty() ? Status() : Write(rest);
}

Status Store::Checkpoint(const std::string& directory) {
  VEDETTE_ASSIGN_OR_RETURN(const std::shared_ptr<Database> now, Writable());
  rocksdb::Checkpoint* checkpoint = nullptr;
  VEDETTE_RETURN_IF_ERROR(
      ToStatus(rocksdb::Checkpoint::Create(now->db.get(), &checkpoint)).Annotate("snapshot"));
  const std::unique_ptr<rocksdb::Checkpoint> owned(checkpoint);
  return ToStatus(owned->CreateCheckpoint(directory)).Annotate(StrCat("snapshot ", directory));
}

// The database, for those who change files.
Result<std::shared_ptr<Database>> Store::Writable() const {
  std::shared_ptr<Database> now = rep_->Current();
  if (now == nullptr) return ToStatus(Reopening());
  if (now->read_only || rep_->listener->failed()) {
    return Unavailable(StrCat("storage ", Quoted(rep_->path),
                              " refuses writes: ", rep_->listener->error()));
  }
  return now;
}

Status Store::Sync() { return ToStatus(rep_->SyncLog()).Annotate("sync of the log"); }

Status Store::RecoverIfFailed() {
  if (!rep_->listener->failed()) return {};
  MutexLock lock(rep_->recover_mu);
  std::shared_ptr<Database> now = rep_->Current();
  const bool reading = now != nullptr && now->read_only;
  if ((reading || rep_->listener->full()) && !rep_->HasRoom()) {
    return Unavailable("the disk is still full");
  }
  now.reset();
  VEDETTE_RETURN_IF_ERROR(rep_->Reopen());
  now = rep_->Current();
  if (now->read_only) return Unavailable("the disk is still full");
  StoreBatch probe;
  probe.Put(*this, Family::kMeta, "probe", "");
  rocksdb::WriteOptions options;
  options.sync = true;
  VEDETTE_RETURN_IF_ERROR(ToStatus(rep_->WriteNow(*now, options, &probe.rep_->batch)));
  rep_->listener->Clear();
  return {};
}

bool Store::failed() const { return rep_->listener->failed(); }
std::string Store::failure() const { return rep_->listener->error(); }
const std::vector<std::string>& Store::damage() const { return rep_->damage; }
std::vector<std::string> Store::TakeNewDamage() { return rep_->listener->TakeDamage(); }

}  // namespace vedette::tsdb
