// How the directory is opened anew after an error, and what is done while it is open.
#include <sys/statvfs.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "server/tsdb/store/fail_point.h"
#include "server/tsdb/store/repair.h"
#include "server/tsdb/store/store_rep.h"

namespace vedette::tsdb {
namespace {

int64_t MonotonicMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

rocksdb::Status Reopening() {
  return rocksdb::Status::TryAgain("the storage is being opened again after an I/O error");
}

std::shared_ptr<Database> Store::Rep::ForReading() const {
  constexpr int kWaits = 50;
  std::shared_ptr<Database> now = Current();
  if (now != nullptr) return now;
  MutexLock lock(reopen_mu);
  for (int i = 0; i < kWaits && reopening && (now = Current()) == nullptr; ++i) {
    reopened.WaitFor(reopen_mu, 100);
  }
  return now != nullptr ? now : Current();
}

void Store::Rep::Use(std::shared_ptr<Database> database) {
  bool renumbered = false;
  for (size_t f = 0; f + 1 < database->handles.size(); ++f) {
    const uint32_t id = database->handle(f)->GetID();
    if (families.size() == f) {
      families.emplace_back(*database->handle(f));
    } else if (families[f].GetID() != id) {
      families[f].SetID(id);
      renumbered = true;
    }
  }
  if (renumbered) numbering.fetch_add(1, std::memory_order_release);
  if (!database->read_only) {
    NoteFamilies(path, *database);
    witness.Start({.sequence = database->db->GetLatestSequenceNumber()});
    WitnessManifest(*database);
  }
  current.store(std::move(database), std::memory_order_release);
}

bool Store::Rep::HasRoom() const {
  // The new manifest and log of an opened directory need some.
  constexpr uint64_t kRoomToOpen = 2 << 20;
  struct statvfs space;
  return statvfs(path.c_str(), &space) != 0 ||
         static_cast<uint64_t>(space.f_bavail) * space.f_frsize >= kRoomToOpen;
}

void Store::Rep::SetReopening(bool value) {
  MutexLock lock(reopen_mu);
  reopening = value;
  reopened.NotifyAll();
}

Status Store::Rep::Reopen() {
  SetReopening(true);
  Status s = ReopenAlone();
  SetReopening(false);
  return s;
}

Status Store::Rep::ReopenAlone() {
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
  FailPoint("reopen.closed");
  std::vector<std::string> found;
  Result<std::unique_ptr<Database>> opened = OpenDatabase(setup, found);
  FailPoint("reopen.opened");
  for (const std::string& what : found) listener->NoteDamage(what);
  if (!opened.ok()) {
    // What cannot be written may be read; but not in part, on a disk that just does not read well.
    std::vector<std::string> missing;
    Result<std::unique_ptr<Database>> reading = ReadDatabase(setup, missing);
    if (reading.ok() && missing.empty()) Use(std::shared_ptr<Database>(*std::move(reading)));
    return opened.status();
  }
  const uint64_t reached = std::max((*opened)->db->GetLatestSequenceNumber(), (*opened)->read_up_to);
  if (const std::string missed = Witness::Missed(reached, witness.sequence()); !missed.empty()) {
    listener->NoteDamage(missed);
  }
  Use(std::shared_ptr<Database>(*std::move(opened)));
  return {};
}

void Store::Rep::WitnessManifest(Database& of) {
  std::vector<std::string> files;
  uint64_t bytes = 0;
  if (!of.db->GetLiveFiles(files, &bytes, /*flush_memtable=*/false).ok()) return;
  const auto named = std::ranges::find_if(
      files, [](const std::string& name) { return name.starts_with("/MANIFEST-"); });
  if (named == files.end()) return;
  const std::string manifest = path + *named;
  if (const std::optional<uint64_t> hash = Witness::HashOf(manifest, bytes)) {
    witness.SetManifest(ManifestNumber(manifest), bytes, *hash);
  }
}

rocksdb::Status Store::Rep::WriteNow(Database& to, const rocksdb::WriteOptions& options,
                                     rocksdb::WriteBatch* batch) {
  FailPoint("store.write.before");
  const rocksdb::Status s = to.db->Write(options, batch);
  FailPoint("store.write.after");
  if (s.ok()) witness.SetSequence(to.db->GetLatestSequenceNumber());
  return s;
}

void Store::Rep::SyncLoop(int64_t interval_ms) {
  while (true) {
    {
      MutexLock lock(mu);
      if (!stopping) stop_changed.WaitFor(mu, interval_ms);
      if (stopping) return;
    }
    {
      const std::shared_ptr<Database> now = Current();
      if (now == nullptr || now->read_only) continue;
      if (listener->TakeGrown()) WitnessManifest(*now);
    }
    WriteOutSlowlyFilled();
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

void Store::Rep::WriteOutSlowlyFilled() {
  constexpr int64_t kLookMs = 10'000;
  constexpr uint64_t kWorthATableBytes = 1 << 20;
  const int64_t now_ms = MonotonicMs();
  const std::shared_ptr<Database> now = Current();
  if (now == nullptr || listener->failed() || now_ms < next_filling_look_ms) return;
  next_filling_look_ms = now_ms + std::min(kLookMs, max_filling_ms / 2);
  using Properties = rocksdb::DB::Properties;
  filling.resize(now->handles.size());
  for (size_t i = 0; i < now->handles.size(); ++i) {
    rocksdb::ColumnFamilyHandle* const handle = now->handles[i];
    uint64_t entries = 0;
    uint64_t bytes = 0;
    (void)now->db->GetIntProperty(handle, Properties::kNumEntriesActiveMemTable, &entries);
    (void)now->db->GetIntProperty(handle, Properties::kCurSizeActiveMemTable, &bytes);
    Filling& f = filling[i];
    // Fewer than before: it is another one.
    if (entries == 0 || entries < f.entries || f.since_ms == 0) f.since_ms = now_ms;
    f.entries = entries;
    if (bytes < kWorthATableBytes || now_ms - f.since_ms < max_filling_ms) continue;
    f.since_ms = now_ms;
    rocksdb::FlushOptions options;
    options.wait = false;
    options.allow_write_stall = true;  // Otherwise it waits until none is to be feared.
    if (const rocksdb::Status s = now->db->Flush(options, handle); !s.ok()) {
      listener->Note(s);
      return;
    }
  }
}

rocksdb::Status Store::Rep::SyncLog() {
  const std::shared_ptr<Database> now = Current();
  if (now == nullptr) return Reopening();
  rocksdb::WriteBatch nothing;
  rocksdb::WriteOptions options;
  options.sync = true;
  return now->db->Write(options, &nothing);
}

}  // namespace vedette::tsdb
