#pragma once

#include <rocksdb/options.h>
#include <rocksdb/sst_file_writer.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "server/tsdb/store/store.h"

// Inside this folder only: the headers of RocksDB go no further.
namespace vedette::tsdb {

struct StoreTables::Rep {
  rocksdb::Options options;  // Of the family.
  std::string directory;
  size_t file_bytes = 0;  // A table is cut once it is longer.
  std::unique_ptr<rocksdb::SstFileWriter> writer;  // Of the last of the files; null: it is whole.
  std::vector<std::string> files;
  std::string first, last;  // Keys.
  uint64_t bytes = 0;

  ~Rep() { Clear(); }
  Status Ready(std::string_view key);
  Status Wrote(const rocksdb::Status& status, uint64_t bytes);
  Status Cut();
  void Clear();
};

// Where tables are written that are to be taken in. What is in it when the directory is opened was
// left by a process that died.
std::string TablesPath(const std::string& path);

}  // namespace vedette::tsdb
