#include "server/tsdb/store/setup.h"

#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>

namespace vedette::tsdb {
namespace {

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
    const char* const rollups = kFamilyNames[static_cast<size_t>(Family::kRollups)];
    return std::ranges::find(families, rollups) != families.end();
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

DatabaseSetup MakeSetup(const StoreOptions& options, const std::shared_ptr<rocksdb::Cache>& cache,
                        const std::shared_ptr<rocksdb::EventListener>& listener,
                        rocksdb::Env* env) {
  DatabaseSetup setup;
  rocksdb::DBOptions db_options;
  db_options.create_if_missing = !options.read_only;
  db_options.create_missing_column_families = !options.read_only;
  db_options.max_background_jobs = 2;
  db_options.max_open_files = 512;
  // Bounds what is read back at the start: less than 0.1 s. No more than the largest memory table
  // holds: opening would fill one and write it out, at 0.2 s more.
  db_options.max_total_wal_size = 24 << 20;
  db_options.avoid_flush_during_recovery = true;
  db_options.avoid_flush_during_shutdown = true;  // The log has it all.
  // What is damaged in the log costs itself: every record of ours has a checksum and says what it
  // follows, so that one that is gone is missed.
  db_options.wal_recovery_mode = rocksdb::WALRecoveryMode::kSkipAnyCorruptedRecords;
  // Without it RocksDB 7.8 goes on behind a record that it wrote by half, and loses what follows.
  db_options.paranoid_checks = true;
  setup.log = std::make_shared<InfoLog>();
  db_options.info_log = setup.log;
  db_options.max_manifest_file_size = 4 << 20;  // Read once whenever it has grown.
  db_options.stats_dump_period_sec = 0;
  db_options.stats_persist_period_sec = 0;
  db_options.skip_stats_update_on_db_open = true;
  db_options.skip_checking_sst_file_sizes_on_db_open = true;  // database.cc does.
  if (env != nullptr) db_options.env = env;
  db_options.bytes_per_sync = 1 << 20;
  db_options.enable_pipelined_write = false;
  db_options.listeners.push_back(listener);
  db_options.max_bgerror_resume_count = 0;  // RecoverIfFailed() does it.

  const size_t write_buffer_limit = WriteBufferLimit(options);
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  auto family_options = [&](size_t write_buffer, size_t block_bytes, bool compress) {
    rocksdb::ColumnFamilyOptions cf;
    write_buffer = std::min(write_buffer, write_buffer_limit);
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = cache;
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
  descriptors.emplace_back(kFamilyNames[0], family_options(1 << 20, 4096, true));
  descriptors.emplace_back(kFamilyNames[1], family_options(4 << 20, 16384, true));
  db_options.max_total_wal_size =
      std::min<uint64_t>(db_options.max_total_wal_size, 4 * write_buffer_limit);
  // The log overwrites itself: a large memory table takes most of it away before it is written.
  rocksdb::ColumnFamilyOptions head = family_options(kMaxWriteBufferBytes, 16384, false);
  head.compaction_style = rocksdb::kCompactionStyleUniversal;
  head.compaction_options_universal.max_size_amplification_percent = 100;
  descriptors.emplace_back(kFamilyNames[2], head);
  descriptors.emplace_back(kFamilyNames[3], family_options(16 << 20, 32768, false));
  descriptors.emplace_back(kFamilyNames[4], family_options(2 << 20, 16384, true));
  descriptors.emplace_back(kFamilyNames[5], family_options(4 << 20, 16384, true));
  if ((options.rollups && !options.read_only) || HasRollups(db_options, options.path)) {
    descriptors.emplace_back(kFamilyNames[6], family_options(4 << 20, 16384, false));
  }

  setup.path = options.path;
  setup.options = db_options;
  setup.families = descriptors;
  return setup;
}

}  // namespace vedette::tsdb
