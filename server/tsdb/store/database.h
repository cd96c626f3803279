#pragma once

#include <rocksdb/db.h>
#include <rocksdb/options.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/status.h"

// Inside this folder only: the headers of RocksDB go no further.
namespace vedette::tsdb {

// One opened RocksDB. Iterators and snapshots made from it must be gone before.
struct Database {
  std::unique_ptr<rocksdb::DB> db;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;  // In the order of the descriptors.
  bool read_only = false;
  // The last change that was found, where a repair wrote what it found under numbers of its own; 0
  // otherwise.
  uint64_t read_up_to = 0;

  // Of the n-th family of the storage: the first descriptor is RocksDB's own, which is not used.
  rocksdb::ColumnFamilyHandle* handle(size_t n) const { return handles[n + 1]; }
  ~Database();
};

// What RocksDB says while it opens a directory: bytes of the log that it dropped are damage.
class InfoLog : public rocksdb::Logger {
 public:
  InfoLog() : rocksdb::Logger(rocksdb::InfoLogLevel::WARN_LEVEL) {}
  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list arguments) override;
  // Lines about damage since the last call.
  std::vector<std::string> TakeDamage();

 private:
  Mutex mu_;
  std::vector<std::string> damage_ VEDETTE_GUARDED_BY(mu_);
};

struct DatabaseSetup {
  std::string path;
  rocksdb::DBOptions options;  // info_log is `log`.
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  std::shared_ptr<InfoLog> log;
};

// Opens the directory whatever state it is in. In order: as it is; where the disk is full, for
// reading only; where the list of files or a file itself is damaged, after a repair that keeps
// every file that can be read and moves the others to lost/ (repair.h). What was found goes into `damage`, one sentence each. Errors are those
// that a repair cannot help: another process has the directory (kFailedPrecondition), no right to
// read it, a disk that answers with I/O errors.
Result<std::unique_ptr<Database>> OpenDatabase(const DatabaseSetup& setup,
                                               std::vector<std::string>& damage);

// Opens the directory for reading, as it is: nothing in it changes, and it may be in use. What is
// damaged goes into `damage`. kNotFound where there is no storage; kDataLoss where RocksDB cannot
// read it without a repair.
Result<std::unique_ptr<Database>> ReadDatabase(const DatabaseSetup& setup,
                                               std::vector<std::string>& damage);

// The manifest that CURRENT names, as a path; "" where there is none.
std::string CurrentManifest(const std::string& path);
uint64_t ManifestNumber(const std::string& manifest_path);

std::string WitnessPath(const std::string& path);

Status ToStatus(const rocksdb::Status& s);

}  // namespace vedette::tsdb
