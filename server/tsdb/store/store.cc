#include "server/tsdb/store/store.h"

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_batch.h>
#include <sys/stat.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/strings.h"

namespace vedette::tsdb {
namespace {

constexpr std::array<const char*, kFamilies> kNames = {"meta",   "series",   "head",
                                                       "chunks", "instants", "histograms"};

rocksdb::Slice ToSlice(std::string_view s) { return {s.data(), s.size()}; }
std::string_view ToView(const rocksdb::Slice& s) { return {s.data(), s.size()}; }
size_t Index(Family family) { return static_cast<size_t>(family); }

Status ToStatus(const rocksdb::Status& s) {
  if (s.ok()) return {};
  const std::string text = s.ToString();
  if (s.IsCorruption()) return DataLoss(text);
  if (s.IsNotFound()) return NotFound(text);
  // Everything else comes from the disk or its fullness; trying again may help.
  return Unavailable(text);
}

}  // namespace

// Keeps the word of a background error until writing works again.
class ErrorListener : public rocksdb::EventListener {
 public:
  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* error) override {
    MutexLock lock(mu_);
    error_ = error->ToString();
    failed_ = true;
  }
  void Note(const rocksdb::Status& error) {
    MutexLock lock(mu_);
    error_ = error.ToString();
    failed_ = true;
  }
  void Clear() {
    MutexLock lock(mu_);
    error_.clear();
    failed_ = false;
  }
  bool failed() const { return failed_; }
  std::string error() const {
    MutexLock lock(mu_);
    return error_;
  }

 private:
  mutable Mutex mu_;
  std::string error_ VEDETTE_GUARDED_BY(mu_);
  std::atomic<bool> failed_{false};
};

struct Store::Rep {
  std::string path;
  std::unique_ptr<rocksdb::DB> db;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;  // By Family.
  std::vector<rocksdb::ColumnFamilyHandle*> all_handles;
  std::shared_ptr<ErrorListener> listener = std::make_shared<ErrorListener>();
  std::shared_ptr<rocksdb::Cache> cache;
  bool sync_always = false;

  Mutex mu;
  CondVar stop_changed;
  bool stopping VEDETTE_GUARDED_BY(mu) = false;
  std::atomic<bool> unsynced{false};
  std::thread syncer;

  rocksdb::ColumnFamilyHandle* handle(Family family) const { return handles[Index(family)]; }

  void SyncLoop(int64_t interval_ms) {
    while (true) {
      {
        MutexLock lock(mu);
        if (!stopping) stop_changed.WaitFor(mu, interval_ms);
        if (stopping) return;
      }
      if (!unsynced.exchange(false)) continue;
      if (rocksdb::Status s = db->SyncWAL(); !s.ok()) {
        unsynced = true;
        listener->Note(s);
      }
    }
  }
};

struct StoreBatch::Rep {
  rocksdb::WriteBatch batch;
};

StoreBatch::StoreBatch() : rep_(std::make_unique<Rep>()) {}
StoreBatch::~StoreBatch() = default;
StoreBatch::StoreBatch(StoreBatch&&) noexcept = default;
StoreBatch& StoreBatch::operator=(StoreBatch&&) noexcept = default;

// The batch itself cannot fail: memory is its only limit.
void StoreBatch::Put(const Store& store, Family family, std::string_view key,
                     std::string_view value) {
  (void)rep_->batch.Put(store.rep_->handle(family), ToSlice(key), ToSlice(value));
}
void StoreBatch::Delete(const Store& store, Family family, std::string_view key) {
  (void)rep_->batch.Delete(store.rep_->handle(family), ToSlice(key));
}
void StoreBatch::DeleteRange(const Store& store, Family family, std::string_view begin,
                             std::string_view end) {
  (void)rep_->batch.DeleteRange(store.rep_->handle(family), ToSlice(begin), ToSlice(end));
}
bool StoreBatch::empty() const { return rep_->batch.Count() == 0; }
size_t StoreBatch::bytes() const { return rep_->batch.GetDataSize(); }
void StoreBatch::Clear() { rep_->batch.Clear(); }

struct StoreSnapshot::Rep {
  rocksdb::DB* db;
  const rocksdb::Snapshot* snapshot;
};
StoreSnapshot::StoreSnapshot(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}
StoreSnapshot::~StoreSnapshot() { rep_->db->ReleaseSnapshot(rep_->snapshot); }

struct StoreIterator::Rep {
  std::unique_ptr<rocksdb::Iterator> it;
};
StoreIterator::StoreIterator(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}
StoreIterator::~StoreIterator() = default;
StoreIterator::StoreIterator(StoreIterator&&) noexcept = default;
void StoreIterator::Seek(std::string_view key) { rep_->it->Seek(ToSlice(key)); }
void StoreIterator::SeekToFirst() { rep_->it->SeekToFirst(); }
void StoreIterator::SeekForPrev(std::string_view key) { rep_->it->SeekForPrev(ToSlice(key)); }
void StoreIterator::Next() { rep_->it->Next(); }
bool StoreIterator::valid() const { return rep_->it->Valid(); }
std::string_view StoreIterator::key() const { return ToView(rep_->it->key()); }
std::string_view StoreIterator::value() const { return ToView(rep_->it->value()); }
Status StoreIterator::status() const { return ToStatus(rep_->it->status()); }

Store::Store(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}

Result<std::unique_ptr<Store>> Store::Open(const StoreOptions& options) {
  auto rep = std::make_unique<Rep>();
  rep->path = options.path;
  rep->sync_always = options.sync_interval_ms == 0;
  rep->cache = rocksdb::NewLRUCache(options.block_cache_bytes, 2);

  std::error_code error;
  std::filesystem::create_directories(options.path, error);
  if (error) {
    return FailedPrecondition(
        StrCat("storage directory ", Quoted(options.path), ": ", error.message()));
  }

  rocksdb::DBOptions db_options;
  db_options.create_if_missing = true;
  db_options.create_missing_column_families = true;
  db_options.max_background_jobs = 2;
  db_options.max_open_files = 512;
  // Bounds what is read back at the start: about 0.1 s.
  db_options.max_total_wal_size = 48 << 20;
  db_options.avoid_flush_during_recovery = true;
  db_options.avoid_flush_during_shutdown = true;  // The log has it all.
  db_options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  db_options.keep_log_file_num = 2;
  db_options.max_log_file_size = 1 << 20;
  db_options.info_log_level = rocksdb::WARN_LEVEL;
  db_options.stats_dump_period_sec = 0;
  db_options.stats_persist_period_sec = 0;
  db_options.skip_stats_update_on_db_open = true;
  db_options.skip_checking_sst_file_sizes_on_db_open = true;
  db_options.bytes_per_sync = 1 << 20;
  db_options.enable_pipelined_write = false;
  db_options.listeners.push_back(rep->listener);
  db_options.max_bgerror_resume_count = INT32_MAX;
  db_options.bgerror_resume_retry_interval = 500'000;  // Micro-seconds.

  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  auto family_options = [&](size_t write_buffer, size_t block_bytes, bool compress) {
    rocksdb::ColumnFamilyOptions cf;
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rep->cache;
    table.block_size = block_bytes;
    table.format_version = 5;
    table.cache_index_and_filter_blocks = false;
    table.index_block_restart_interval = 4;
    cf.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    cf.write_buffer_size = write_buffer;
    cf.max_write_buffer_number = 3;
    cf.arena_block_size = std::min<size_t>(write_buffer / 8, 1 << 20);
    cf.compression = compress ? rocksdb::kLZ4Compression : rocksdb::kNoCompression;
    cf.level_compaction_dynamic_level_bytes = true;
    cf.target_file_size_base = 16 << 20;
    cf.max_bytes_for_level_base = 64 << 20;
    cf.memtable_huge_page_size = 0;
    return cf;
  };
  descriptors.emplace_back(rocksdb::kDefaultColumnFamilyName, family_options(1 << 16, 4096, false));
  descriptors.emplace_back(kNames[0], family_options(1 << 20, 4096, true));
  descriptors.emplace_back(kNames[1], family_options(4 << 20, 16384, true));
  // The log overwrites itself: a large memory table takes most of it away before it is written.
  rocksdb::ColumnFamilyOptions head = family_options(24 << 20, 16384, false);
  head.compaction_style = rocksdb::kCompactionStyleUniversal;
  head.compaction_options_universal.max_size_amplification_percent = 100;
  descriptors.emplace_back(kNames[2], head);
  descriptors.emplace_back(kNames[3], family_options(16 << 20, 32768, false));
  descriptors.emplace_back(kNames[4], family_options(2 << 20, 16384, true));
  descriptors.emplace_back(kNames[5], family_options(4 << 20, 16384, true));

  rocksdb::DB* db = nullptr;
  const rocksdb::Status opened =
      rocksdb::DB::Open(db_options, options.path, descriptors, &rep->all_handles, &db);
  if (!opened.ok()) {
    const std::string text = opened.ToString();
    if (text.find("lock") != std::string::npos || text.find("LOCK") != std::string::npos) {
      return FailedPrecondition(StrCat("storage directory ", Quoted(options.path),
                                       " is used by another process: ", text));
    }
    return ToStatus(opened).Annotate(StrCat("storage directory ", Quoted(options.path)));
  }
  rep->db.reset(db);
  rep->handles.assign(rep->all_handles.begin() + 1, rep->all_handles.end());
  if (!rep->sync_always) {
    rep->syncer = std::thread(
        [r = rep.get(), interval = options.sync_interval_ms] { r->SyncLoop(interval); });
    pthread_setname_np(rep->syncer.native_handle(), "tsdb-wal-sync");
  }
  return std::unique_ptr<Store>(new Store(std::move(rep)));
}

Store::~Store() {
  {
    MutexLock lock(rep_->mu);
    rep_->stopping = true;
  }
  rep_->stop_changed.NotifyAll();
  if (rep_->syncer.joinable()) rep_->syncer.join();
  (void)rep_->db->SyncWAL();  // Best effort: what was acknowledged is in the system's hands.
  for (rocksdb::ColumnFamilyHandle* handle : rep_->all_handles) {
    (void)rep_->db->DestroyColumnFamilyHandle(handle);
  }
  (void)rep_->db->Close();
}

Status Store::Write(StoreBatch& batch, bool sync) {
  rocksdb::WriteOptions options;
  options.sync = sync || rep_->sync_always;
  const rocksdb::Status s = rep_->db->Write(options, &batch.rep_->batch);
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
  if (snapshot != nullptr) options.snapshot = snapshot->rep_->snapshot;
  std::string value;
  const rocksdb::Status s = rep_->db->Get(options, rep_->handle(family), ToSlice(key), &value);
  if (s.IsNotFound()) return std::optional<std::string>();
  if (!s.ok()) return ToStatus(s).Annotate(kNames[Index(family)]);
  return std::optional<std::string>(std::move(value));
}

std::shared_ptr<const StoreSnapshot> Store::TakeSnapshot() const {
  auto rep = std::make_unique<StoreSnapshot::Rep>();
  rep->db = rep_->db.get();
  rep->snapshot = rep_->db->GetSnapshot();
  return std::shared_ptr<const StoreSnapshot>(new StoreSnapshot(std::move(rep)));
}

StoreIterator Store::Iterate(Family family, const StoreSnapshot* snapshot, bool long_walk) const {
  rocksdb::ReadOptions options;
  if (snapshot != nullptr) options.snapshot = snapshot->rep_->snapshot;
  if (long_walk) {
    options.readahead_size = 1 << 20;
    options.fill_cache = false;
  }
  auto rep = std::make_unique<StoreIterator::Rep>();
  rep->it.reset(rep_->db->NewIterator(options, rep_->handle(family)));
  return StoreIterator(std::move(rep));
}

Status Store::CompactAll() {
  for (rocksdb::ColumnFamilyHandle* handle : rep_->handles) {
    rocksdb::FlushOptions flush;
    VEDETTE_RETURN_IF_ERROR(ToStatus(rep_->db->Flush(flush, handle)));
    rocksdb::CompactRangeOptions options;
    options.exclusive_manual_compaction = false;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
    VEDETTE_RETURN_IF_ERROR(ToStatus(rep_->db->CompactRange(options, handle, nullptr, nullptr)));
  }
  return {};
}

Status Store::DropRange(Family family, std::string_view begin, std::string_view end) {
  const rocksdb::Slice b = ToSlice(begin);
  const rocksdb::Slice e = ToSlice(end);
  VEDETTE_RETURN_IF_ERROR(ToStatus(rocksdb::DeleteFilesInRange(rep_->db.get(), rep_->handle(family),
                                                               &b, &e, /*include_end=*/false)));
  StoreBatch rest;
  rest.DeleteRange(*this, family, begin, end);
  return Write(rest);
}

Status Store::Checkpoint(const std::string& directory) {
  rocksdb::Checkpoint* checkpoint = nullptr;
  VEDETTE_RETURN_IF_ERROR(
      ToStatus(rocksdb::Checkpoint::Create(rep_->db.get(), &checkpoint)).Annotate("snapshot"));
  const std::unique_ptr<rocksdb::Checkpoint> owned(checkpoint);
  return ToStatus(owned->CreateCheckpoint(directory)).Annotate(StrCat("snapshot ", directory));
}

Status Store::Sync() { return ToStatus(rep_->db->SyncWAL()).Annotate("sync of the log"); }

Status Store::RecoverIfFailed() {
  if (!rep_->listener->failed()) return {};
  // Says OK where RocksDB itself never stopped, such as after a single failed write.
  VEDETTE_RETURN_IF_ERROR(ToStatus(rep_->db->Resume()));
  StoreBatch probe;
  probe.Put(*this, Family::kMeta, "probe", "");
  rocksdb::WriteOptions options;
  options.sync = true;
  VEDETTE_RETURN_IF_ERROR(ToStatus(rep_->db->Write(options, &probe.rep_->batch)));
  rep_->listener->Clear();
  return {};
}

bool Store::failed() const { return rep_->listener->failed(); }
std::string Store::failure() const { return rep_->listener->error(); }

uint64_t Store::disk_bytes() const {
  uint64_t total = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(rep_->path, error)) {
    struct stat s;
    // Blocks, as RocksDB reserves ahead of what it has written.
    if (stat(entry.path().c_str(), &s) == 0 && S_ISREG(s.st_mode)) {
      total += std::min<uint64_t>(static_cast<uint64_t>(s.st_size),
                                  static_cast<uint64_t>(s.st_blocks) * 512);
    }
  }
  return total;
}

uint64_t Store::wal_bytes() const {
  uint64_t total = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(rep_->path, error)) {
    if (entry.path().extension() == ".log") total += entry.file_size(error);
  }
  return total;
}

uint64_t Store::memory_bytes() const {
  uint64_t total = rep_->cache->GetUsage();
  for (rocksdb::ColumnFamilyHandle* handle : rep_->handles) {
    uint64_t n = 0;
    for (const std::string& property : {rocksdb::DB::Properties::kCurSizeAllMemTables,
                                        rocksdb::DB::Properties::kEstimateTableReadersMem}) {
      if (rep_->db->GetIntProperty(handle, property, &n)) total += n;
    }
  }
  return total;
}

}  // namespace vedette::tsdb
