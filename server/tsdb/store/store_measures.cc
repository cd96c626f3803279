// What the directory holds: sizes, shape, checksums.
#include <rocksdb/sst_file_reader.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <system_error>
#include <unordered_map>
#include <vector>

#include "common/base/strings.h"
#include "server/tsdb/store/setup.h"
#include "server/tsdb/store/store_rep.h"

namespace vedette::tsdb {

std::vector<std::string> Store::VerifyTables(uint64_t* files) const {
  std::vector<std::string> out;
  const std::shared_ptr<Database> now = rep_->Current();
  if (now == nullptr) return {Reopening().ToString()};
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
      const auto* name = std::ranges::find(kFamilyNames, f.column_family_name);
      if (name != kFamilyNames.end()) {
        family_of[f.relative_filename] = static_cast<size_t>(name - kFamilyNames.begin());
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

StoreMemory Store::memory() const {
  StoreMemory out{.block_cache = rep_->cache->GetUsage()};
  const std::shared_ptr<Database> now = rep_->Current();
  if (now == nullptr) return out;
  using Properties = rocksdb::DB::Properties;
  for (rocksdb::ColumnFamilyHandle* handle : now->handles) {
    uint64_t n = 0;
    if (now->db->GetIntProperty(handle, Properties::kSizeAllMemTables, &n)) out.memtables += n;
    if (now->db->GetIntProperty(handle, Properties::kEstimateTableReadersMem, &n)) {
      out.table_readers += n;
    }
  }
  return out;
}

}  // namespace vedette::tsdb
