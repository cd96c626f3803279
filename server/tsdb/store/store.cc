#include "server/tsdb/store/store.h"

#include <rocksdb/cache.h>
#include <rocksdb/comparator.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_batch.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "server/tsdb/store/database.h"
#include "server/tsdb/store/fail_point.h"
#include "server/tsdb/store/witness.h"

namespace vedette::tsdb {
namespace {

constexpr std::array<const char*, kFamilies> kNames = {
    "meta", "series", "head", "chunks", "instants", "histograms", "rollups"};

rocksdb::Slice ToSlice(std::string_view s) { return {s.data(), s.size()}; }
std::string_view ToView(const rocksdb::Slice& s) { return {s.data(), s.size()}; }
size_t Index(Family family) { return static_cast<size_t>(family); }

const rocksdb::Status kReopening =
    rocksdb::Status::TryAgain("the storage is being opened again after an I/O error");

// Before a full disk is tried again: the new manifest and log of an opened directory need some.
constexpr uint64_t kRoomToOpen = 2 << 20;

// The largest memory table, where the disk is not small.
constexpr size_t kMaxWriteBufferBytes = 24 << 20;

// What is in the log is also written as tables before the log can go, and RocksDB reserves a log as
// long as its largest memory table: on a small disk that would be most of it.
size_t WriteBufferLimit(const StoreOptions& options) {
  constexpr uint64_t kPartOfDisk = 32;
  size_t limit = kMaxWriteBufferBytes;
  struct statvfs disk;
  if (statvfs(options.path.c_str(), &disk) == 0) {
    const uint64_t bytes = static_cast<uint64_t>(disk.f_blocks) * disk.f_frsize / kPartOfDisk;
    limit = std::clamp<uint64_t>(bytes, 1 << 20, kMaxWriteBufferBytes);
  }
  return options.max_write_buffer_bytes == 0 ? limit
                                             : std::min(limit, options.max_write_buffer_bytes);
}

// Whether the directory has roll-ups: by its list of files or, where that is damaged, by what RocksDB
// has written down of its options. A repair that is not told of a family gives all up.
bool HasRollups(const rocksdb::DBOptions& options, const std::string& path) {
  std::vector<std::string> families;
  if (rocksdb::DB::ListColumnFamilies(options, path, &families).ok()) {
    return std::ranges::find(families, kNames[Index(Family::kRollups)]) != families.end();
  }
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
    if (!entry.path().filename().string().starts_with("OPTIONS-")) continue;
    std::ifstream in(entry.path());
    for (std::string line; std::getline(in, line);) {
      if (line == "[CFOptions \"rollups\"]") return true;
    }
  }
  return false;
}

}  // namespace

// Keeps the word of a background error until writing works again.
class ErrorListener : public rocksdb::EventListener {
 public:
  void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* error) override {
    MutexLock lock(mu_);
    if (reason == rocksdb::BackgroundErrorReason::kCompaction && error->IsCorruption()) {
      // A damaged table cannot be merged: no reason to refuse what is new. Readers pass it by.
      if (damage_.size() < 100) damage_.push_back(StrCat("merging tables: ", error->ToString()));
      *error = rocksdb::Status::OK();
      return;
    }
    NoteLocked(*error);
  }
  // RocksDB's own recovery is not used. Of a full disk it waits until there is as much room as its
  // largest memory table takes, for ever on a small disk, and looks every 5 s; and a flush that
  // failed for want of room may be forgotten by 7.8, so that whoever resumes waits for it for ever.
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status,
                            bool* auto_recovery) override {
    *auto_recovery = false;
  }
  void Note(const rocksdb::Status& error) {
    MutexLock lock(mu_);
    NoteLocked(error);
  }
  // A table was written or merged: the manifest has grown.
  void OnFlushCompleted(rocksdb::DB*, const rocksdb::FlushJobInfo&) override { grown_ = true; }
  void OnCompactionCompleted(rocksdb::DB*, const rocksdb::CompactionJobInfo&) override {
    grown_ = true;
  }
  void NoteDamage(const std::string& what) {
    MutexLock lock(mu_);
    damage_.push_back(what);
  }
  std::vector<std::string> TakeDamage() {
    MutexLock lock(mu_);
    return std::exchange(damage_, {});
  }
  bool TakeGrown() { return grown_.exchange(false); }
  void Clear() {
    MutexLock lock(mu_);
    error_.clear();
    failed_ = false;
    full_ = false;
  }
  bool failed() const { return failed_; }
  bool full() const { return full_; }  // Failed, because there was no room.
  std::string error() const {
    MutexLock lock(mu_);
    return error_;
  }

 private:
  void NoteLocked(const rocksdb::Status& error) VEDETTE_REQUIRES(mu_) {
    error_ = error.ToString();
    full_ = error.IsNoSpace();
    failed_ = true;
  }

  mutable Mutex mu_;
  std::string error_ VEDETTE_GUARDED_BY(mu_);
  std::vector<std::string> damage_ VEDETTE_GUARDED_BY(mu_);
  std::atomic<bool> failed_{false};
  std::atomic<bool> full_{false};
  std::atomic<bool> grown_{true};
};

// A family's number under the name of a handle: batches need no more, and outlive what they were
// made for.
class NamedFamily final : public rocksdb::ColumnFamilyHandle {
 public:
  explicit NamedFamily(const rocksdb::ColumnFamilyHandle& of)
      : name_(of.GetName()), id_(of.GetID()) {}
  const std::string& GetName() const override { return name_; }
  uint32_t GetID() const override { return id_; }
  rocksdb::Status GetDescriptor(rocksdb::ColumnFamilyDescriptor*) override {
    return rocksdb::Status::NotSupported();
  }
  const rocksdb::Comparator* GetComparator() const override {
    return rocksdb::BytewiseComparator();
  }

 private:
  std::string name_;
  uint32_t id_;
};

struct Store::Rep {
  explicit Rep(std::string p) : path(std::move(p)), witness(WitnessPath(path)) {}

  const std::string path;
  DatabaseSetup setup;
  std::unique_ptr<rocksdb::Env> env;  // Of a file system of its own.
  // Null while it is opened again. Whoever uses it holds it.
  std::atomic<std::shared_ptr<Database>> current;
  std::vector<NamedFamily> families;  // By Family, for batches.
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

  rocksdb::ColumnFamilyHandle* family(Family f) { return &families[Index(f)]; }
  std::shared_ptr<Database> Current() const { return current.load(std::memory_order_acquire); }

  // For reading. An answer a moment later is better than none: while the directory is being opened
  // anew, readers wait. Null: it could not be opened.
  std::shared_ptr<Database> ForReading() const {
    constexpr int kWaits = 50;
    std::shared_ptr<Database> now = Current();
    if (now != nullptr) return now;
    MutexLock lock(reopen_mu);
    for (int i = 0; i < kWaits && reopening && (now = Current()) == nullptr; ++i) {
      reopened.WaitFor(reopen_mu, 100);
    }
    return now != nullptr ? now : Current();
  }

  void SetReopening(bool value) {
    MutexLock lock(reopen_mu);
    reopening = value;
    reopened.NotifyAll();
  }

  void Use(std::shared_ptr<Database> database) {
    if (families.empty()) {
      const size_t count = database->handles.size() - 1;
      for (size_t f = 0; f < count; ++f) families.emplace_back(*database->handle(f));
    }
    if (!database->read_only) {
      witness.Start({.sequence = database->db->GetLatestSequenceNumber()});
      WitnessManifest();
    }
    current.store(std::move(database), std::memory_order_release);
  }

  bool HasRoom() const {
    struct statvfs space;
    return statvfs(path.c_str(), &space) != 0 ||
           static_cast<uint64_t>(space.f_bavail) * space.f_frsize >= kRoomToOpen;
  }

  // RocksDB does not go on after an I/O error in its log or its list of files, and not reliably after
  // any other: it is opened anew. What was acknowledged is in its files, so nobody but those who ask meanwhile notices: they
  // wait.
  Status Reopen() {
    SetReopening(true);
    Status s = ReopenAlone();
    SetReopening(false);
    return s;
  }

  Status ReopenAlone() {
    constexpr int kTries = 200;
    std::shared_ptr<Database> old = current.exchange(nullptr);
    for (int i = 0; i < kTries && old.use_count() > 1; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    if (old.use_count() > 1) {
      current.store(std::move(old));
      return Unavailable("queries still read from the storage; it is opened again after them");
    }
    old.reset();
    std::vector<std::string> found;
    Result<std::unique_ptr<Database>> opened = OpenDatabase(setup, found);
    for (const std::string& what : found) listener->NoteDamage(what);
    if (!opened.ok()) {
      // What cannot be written may be read; but not in part, on a disk that just does not read well.
      std::vector<std::string> missing;
      Result<std::unique_ptr<Database>> reading = ReadDatabase(setup, missing);
      if (reading.ok() && missing.empty()) Use(std::shared_ptr<Database>(*std::move(reading)));
      return opened.status();
    }
    Use(std::shared_ptr<Database>(*std::move(opened)));
    return {};
  }

  void WitnessManifest() {
    const std::string manifest = CurrentManifest(path);
    std::error_code error;
    const uint64_t bytes = std::filesystem::file_size(manifest, error);
    if (error) return;
    if (const std::optional<uint64_t> hash = Witness::HashOf(manifest, bytes)) {
      witness.SetManifest(ManifestNumber(manifest), bytes, *hash);
    }
  }

  rocksdb::Status WriteNow(Database& to, const rocksdb::WriteOptions& options,
                           rocksdb::WriteBatch* batch) {
    FailPoint("store.write.before");
    const rocksdb::Status s = to.db->Write(options, batch);
    FailPoint("store.write.after");
    if (s.ok()) witness.SetSequence(to.db->GetLatestSequenceNumber());
    return s;
  }

  void SyncLoop(int64_t interval_ms) {
    while (true) {
      {
        MutexLock lock(mu);
        if (!stopping) stop_changed.WaitFor(mu, interval_ms);
        if (stopping) return;
      }
      if (const auto now = Current(); now == nullptr || now->read_only) continue;
      if (listener->TakeGrown()) WitnessManifest();
      if (sync_always || listener->failed() || !unsynced.exchange(false)) continue;
      const auto began = std::chrono::steady_clock::now();
      if (rocksdb::Status s = SyncLog(); !s.ok()) {
        unsynced = true;
        listener->Note(s);
      } else if (log_synced) {
        log_synced(
            std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
      }
    }
  }

  // Not SyncWAL(): beside a write that fails at that moment RocksDB 7.8 asserts, which kills.
  rocksdb::Status SyncLog() {
    const std::shared_ptr<Database> now = Current();
    if (now == nullptr) return kReopening;
    rocksdb::WriteBatch nothing;
    rocksdb::WriteOptions options;
    options.sync = true;
    return now->db->Write(options, &nothing);
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
  (void)rep_->batch.Put(store.rep_->family(family), ToSlice(key), ToSlice(value));
}
void StoreBatch::Delete(const Store& store, Family family, std::string_view key) {
  (void)rep_->batch.Delete(store.rep_->family(family), ToSlice(key));
}
Status StoreBatch::DeleteFound(const Store& store, Family family, StoreIterator& it,
                               std::string_view begin, std::string_view end) {
  for (it.Seek(begin); it.valid() || it.SkipDamage(); it.Next()) {
    if (it.key() >= end) return {};
    Delete(store, family, it.key());
  }
  const Status s = it.status();
  return s.code() == StatusCode::kDataLoss ? Status() : s;
}
bool StoreBatch::empty() const { return rep_->batch.Count() == 0; }
size_t StoreBatch::bytes() const { return rep_->batch.GetDataSize(); }
void StoreBatch::Clear() { rep_->batch.Clear(); }

struct StoreSnapshot::Rep {
  std::shared_ptr<Database> database;  // Null: there was none.
  const rocksdb::Snapshot* snapshot = nullptr;
};
StoreSnapshot::StoreSnapshot(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}
StoreSnapshot::~StoreSnapshot() {
  if (rep_->database) rep_->database->db->ReleaseSnapshot(rep_->snapshot);
}

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
StoreIterator::StoreIterator(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}
StoreIterator::~StoreIterator() = default;
StoreIterator::StoreIterator(StoreIterator&&) noexcept = default;
StoreIterator& StoreIterator::operator=(StoreIterator&&) noexcept = default;
void StoreIterator::Seek(std::string_view key) {
  rep_->last = key;
  rep_->it->Seek(ToSlice(key));
}
void StoreIterator::SeekToFirst() {
  rep_->last.clear();
  rep_->it->SeekToFirst();
}
void StoreIterator::SeekForPrev(std::string_view key) {
  rep_->last = key;
  rep_->it->SeekForPrev(ToSlice(key));
}
void StoreIterator::Next() {
  rep_->last = ToView(rep_->it->key());
  rep_->it->Next();
}

namespace {

// A key as a number, big-endian, and 2^bit more than it. False: there is no such key.
bool Advance(std::string& key, size_t bit) {
  for (size_t at = key.size() - 1 - bit / 8, carry = size_t{1} << bit % 8;; --at) {
    carry += static_cast<uint8_t>(key[at]);
    key[at] = static_cast<char>(carry & 0xff);
    carry >>= 8;
    if (carry == 0) return true;
    if (at == 0) return false;
  }
}

}  // namespace

// RocksDB has no way past a block that it cannot read but to seek behind it, and does not say where
// that is: steps that double find a place, halving finds the first such place near enough.
bool StoreIterator::SkipDamage() {
  constexpr size_t kLeastWidth = 24;
  constexpr size_t kHalvings = 24;
  if (!rep_->damaged()) return rep_->it->Valid();
  std::string low = rep_->last;
  low.resize(std::max(low.size() + 1, kLeastWidth));
  const size_t bits = low.size() * 8;
  size_t bit = 0;
  std::string high;
  for (;; ++bit) {
    if (bit == bits) return false;
    high = low;
    if (!Advance(high, bit)) return false;
    if (!rep_->DamagedAt(high)) break;
  }
  for (size_t i = 0; i < kHalvings && bit > 0; ++i) {
    std::string middle = low;
    if (!Advance(middle, --bit) || middle >= high) continue;
    (rep_->DamagedAt(middle) ? low : high) = middle;
  }
  rep_->last = high;
  return !rep_->DamagedAt(high) && rep_->it->Valid();
}
bool StoreIterator::valid() const { return rep_->it->Valid(); }
std::string_view StoreIterator::key() const { return ToView(rep_->it->key()); }
std::string_view StoreIterator::value() const { return ToView(rep_->it->value()); }
Status StoreIterator::status() const { return ToStatus(rep_->it->status()); }

Store::Store(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}

Result<std::unique_ptr<Store>> Store::Open(const StoreOptions& options) {
  auto rep = std::make_unique<Rep>(options.path);
  rep->sync_always = options.sync_interval_ms == 0;
  rep->log_synced = options.log_synced;
  rep->cache = rocksdb::NewLRUCache(options.block_cache_bytes, 2);

  std::error_code error;
  if (!options.read_only) std::filesystem::create_directories(options.path, error);
  if (error) {
    return FailedPrecondition(
        StrCat("storage directory ", Quoted(options.path), ": ", error.message()));
  }

  rocksdb::DBOptions db_options;
  db_options.create_if_missing = !options.read_only;
  db_options.create_missing_column_families = !options.read_only;
  db_options.max_background_jobs = 2;
  db_options.max_open_files = 512;
  // Bounds what is read back at the start: about 0.1 s.
  db_options.max_total_wal_size = 48 << 20;
  db_options.avoid_flush_during_recovery = true;
  db_options.avoid_flush_during_shutdown = true;  // The log has it all.
  // What is damaged in the log costs itself: every record of ours has a checksum and says what it
  // follows, so that one that is gone is missed.
  db_options.wal_recovery_mode = rocksdb::WALRecoveryMode::kSkipAnyCorruptedRecords;
  // Without it RocksDB 7.8 goes on behind a record that it wrote by half, and loses what follows.
  db_options.paranoid_checks = true;
  rep->setup.log = std::make_shared<InfoLog>();
  db_options.info_log = rep->setup.log;
  db_options.max_manifest_file_size = 4 << 20;  // Read once whenever it has grown.
  db_options.stats_dump_period_sec = 0;
  db_options.stats_persist_period_sec = 0;
  db_options.skip_stats_update_on_db_open = true;
  db_options.skip_checking_sst_file_sizes_on_db_open = true;  // database.cc does.
  if (options.file_system) {
    rep->env = rocksdb::NewCompositeEnv(options.file_system);
    db_options.env = rep->env.get();
  }
  db_options.bytes_per_sync = 1 << 20;
  db_options.enable_pipelined_write = false;
  db_options.listeners.push_back(rep->listener);
  db_options.max_bgerror_resume_count = 0;  // RecoverIfFailed() does it.

  const size_t write_buffer_limit = WriteBufferLimit(options);
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  auto family_options = [&](size_t write_buffer, size_t block_bytes, bool compress) {
    rocksdb::ColumnFamilyOptions cf;
    write_buffer = std::min(write_buffer, write_buffer_limit);
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
  db_options.max_total_wal_size =
      std::min<uint64_t>(db_options.max_total_wal_size, 4 * write_buffer_limit);
  // The log overwrites itself: a large memory table takes most of it away before it is written.
  rocksdb::ColumnFamilyOptions head = family_options(kMaxWriteBufferBytes, 16384, false);
  head.compaction_style = rocksdb::kCompactionStyleUniversal;
  head.compaction_options_universal.max_size_amplification_percent = 100;
  descriptors.emplace_back(kNames[2], head);
  descriptors.emplace_back(kNames[3], family_options(16 << 20, 32768, false));
  descriptors.emplace_back(kNames[4], family_options(2 << 20, 16384, true));
  descriptors.emplace_back(kNames[5], family_options(4 << 20, 16384, true));
  if ((options.rollups && !options.read_only) || HasRollups(db_options, options.path)) {
    descriptors.emplace_back(kNames[6], family_options(4 << 20, 16384, false));
  }

  rep->setup.path = options.path;
  rep->setup.options = db_options;
  rep->setup.families = descriptors;
  const Result<std::optional<WitnessRecord>> witness = Witness::Read(WitnessPath(options.path));
  if (!witness.ok()) rep->damage.emplace_back(witness.status().message());
  Result<std::unique_ptr<Database>> opened = options.read_only
                                                 ? ReadDatabase(rep->setup, rep->damage)
                                                 : OpenDatabase(rep->setup, rep->damage);
  if (!opened.ok()) {
    return opened.status().Annotate(StrCat("storage directory ", Quoted(options.path)));
  }
  if (witness.ok() && *witness) {
    const uint64_t reached = (*opened)->db->GetLatestSequenceNumber();
    if (reached < (*witness)->sequence) {
      rep->damage.push_back(StrCat("the log ends ", (*witness)->sequence - reached,
                                   " changes before what was acknowledged: it was cut off, by a "
                                   "power cut or by hand"));
    }
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
  rep_->WitnessManifest();
}

bool Store::has(Family family) const { return Index(family) < rep_->families.size(); }

Status Store::Write(StoreBatch& batch, bool sync) {
  const std::shared_ptr<Database> now = rep_->Current();
  // After an error RocksDB is left alone until RecoverIfFailed(): it may assert.
  if (now == nullptr || now->read_only || rep_->listener->failed()) {
    return Unavailable(StrCat("storage ", Quoted(rep_->path), " refuses writes: ",
                              now == nullptr ? kReopening.ToString() : rep_->listener->error()));
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
  if (from == nullptr) return ToStatus(kReopening);
  std::string value;
  const rocksdb::Status s = from->db->Get(options, from->handle(Index(family)), ToSlice(key), &value);
  if (s.IsNotFound()) return std::optional<std::string>();
  if (!s.ok()) return ToStatus(s).Annotate(kNames[Index(family)]);
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
        from == nullptr ? rocksdb::NewErrorIterator(kReopening)
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
  if (now == nullptr) return ToStatus(kReopening);
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

std::vector<std::string> Store::VerifyTables(uint64_t* files) const {
  std::vector<std::string> out;
  const std::shared_ptr<Database> now = rep_->Current();
  if (now == nullptr) return {kReopening.ToString()};
  std::vector<rocksdb::LiveFileMetaData> live;
  now->db->GetLiveFilesMetaData(&live);
  const rocksdb::Options options(rep_->setup.options, rocksdb::ColumnFamilyOptions());
  rocksdb::ReadOptions reading;
  reading.readahead_size = 1 << 20;
  reading.fill_cache = false;
  for (const rocksdb::LiveFileMetaData& f : live) {
    const std::string path = StrCat(rep_->path, "/", f.relative_filename);
    rocksdb::SstFileReader reader(options);
    rocksdb::Status s = reader.Open(path);
    if (s.ok()) s = reader.VerifyChecksum(reading);
    ++*files;
    if (!s.ok()) out.push_back(StrCat("table ", path, ": ", s.ToString()));
  }
  return out;
}

uint64_t Store::Files::total() const {
  uint64_t sum = log + other;
  for (uint64_t n : tables) sum += n;
  return sum;
}

Store::Files Store::files() const {
  std::unordered_map<std::string, size_t> family_of;
  if (const std::shared_ptr<Database> now = rep_->Current()) {
    std::vector<rocksdb::LiveFileMetaData> live;
    now->db->GetLiveFilesMetaData(&live);
    for (const rocksdb::LiveFileMetaData& f : live) {
      const auto* name = std::ranges::find(kNames, f.column_family_name);
      if (name != kNames.end()) {
        family_of[f.relative_filename] = static_cast<size_t>(name - kNames.begin());
      }
    }
  }
  Files out;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(rep_->path, error)) {
    struct stat s;
    if (stat(entry.path().c_str(), &s) != 0 || !S_ISREG(s.st_mode)) continue;
    // Blocks, as RocksDB reserves ahead of what it has written.
    const uint64_t bytes = std::min<uint64_t>(static_cast<uint64_t>(s.st_size),
                                              static_cast<uint64_t>(s.st_blocks) * 512);
    if (const auto it = family_of.find(entry.path().filename()); it != family_of.end()) {
      out.tables[it->second] += bytes;
    } else if (entry.path().extension() == ".log") {
      out.log += bytes;
    } else {
      out.other += bytes;
    }
  }
  return out;
}

uint64_t Store::disk_bytes() const { return files().total(); }
uint64_t Store::wal_bytes() const {
  uint64_t total = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(rep_->path, error)) {
    if (entry.path().extension() == ".log") total += entry.file_size(error);
  }
  return total;
}

StoreShape Store::shape() const {
  StoreShape out;
  const std::shared_ptr<Database> now = rep_->Current();
  if (now == nullptr) return out;
  using Properties = rocksdb::DB::Properties;
  const auto read = [&](rocksdb::ColumnFamilyHandle* handle, const std::string& property) {
    uint64_t n = 0;
    return now->db->GetIntProperty(handle, property, &n) ? n : 0;
  };
  for (rocksdb::ColumnFamilyHandle* handle : now->handles) {
    rocksdb::ColumnFamilyMetaData family;
    now->db->GetColumnFamilyMetaData(handle, &family);
    for (const rocksdb::LevelMetaData& level : family.levels) {
      if (level.files.empty()) continue;
      out.levels.push_back({family.name, level.level, level.files.size(), level.size});
    }
    out.memtable_bytes += read(handle, Properties::kCurSizeAllMemTables);
    out.pending_compaction_bytes += read(handle, Properties::kEstimatePendingCompactionBytes);
  }
  // These are the database's, whichever family is asked.
  rocksdb::ColumnFamilyHandle* const any = now->db->DefaultColumnFamily();
  out.running_compactions = read(any, Properties::kNumRunningCompactions);
  out.running_flushes = read(any, Properties::kNumRunningFlushes);
  out.delayed_write_rate = read(any, Properties::kActualDelayedWriteRate);
  out.writes_stopped = read(any, Properties::kIsWriteStopped) != 0;
  return out;
}

uint64_t Store::memory_bytes() const {
  uint64_t total = rep_->cache->GetUsage();
  const std::shared_ptr<Database> now = rep_->Current();
  if (now == nullptr) return total;
  for (rocksdb::ColumnFamilyHandle* handle : now->handles) {
    uint64_t n = 0;
    for (const std::string& property : {rocksdb::DB::Properties::kCurSizeAllMemTables,
                                        rocksdb::DB::Properties::kEstimateTableReadersMem}) {
      if (now->db->GetIntProperty(handle, property, &n)) total += n;
    }
  }
  return total;
}

}  // namespace vedette::tsdb
