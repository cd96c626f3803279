#pragma once

#include <rocksdb/file_system.h>

#include <memory>

#include "common/base/mutex.h"

// Inside this folder only: the headers of RocksDB go no further.
namespace vedette::tsdb {

// A file system for RepairDB, which takes every error for the end of the file that it met, puts that
// file aside and goes on. Here nothing goes on: behind the first change that fails none is tried, so
// that no file is put aside for a disk that fails, and no list of files begun anew behind one that was
// written by half, which RocksDB 7.8 asserts on. Reads are tried some times over: a disk that
// stutters is no damage, a sector that cannot be read is. Thread-safe.
class HaltingFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  explicit HaltingFileSystem(const std::shared_ptr<rocksdb::FileSystem>& target)
      : FileSystemWrapper(target) {}

  static const char* kClassName() { return "HaltingFileSystem"; }
  const char* Name() const override { return kClassName(); }

  // The error that stopped it; OK while it goes on.
  rocksdb::IOStatus halted() const;

  rocksdb::IOStatus NewRandomAccessFile(const std::string& f, const rocksdb::FileOptions& o,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* r,
                                        rocksdb::IODebugContext* d) override;
  rocksdb::IOStatus NewWritableFile(const std::string& f, const rocksdb::FileOptions& o,
                                    std::unique_ptr<rocksdb::FSWritableFile>* r,
                                    rocksdb::IODebugContext* d) override;
  rocksdb::IOStatus NewDirectory(const std::string& f, const rocksdb::IOOptions& o,
                                 std::unique_ptr<rocksdb::FSDirectory>* r,
                                 rocksdb::IODebugContext* d) override;
  rocksdb::IOStatus CreateDirIfMissing(const std::string& f, const rocksdb::IOOptions& o,
                                       rocksdb::IODebugContext* d) override;
  rocksdb::IOStatus DeleteFile(const std::string& f, const rocksdb::IOOptions& o,
                               rocksdb::IODebugContext* d) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& o, rocksdb::IODebugContext* d) override;

 private:
  class Random;
  class Writable;
  class Directory;
  template <typename Call>
  rocksdb::IOStatus Change(const Call& call);
  template <typename Call>
  static rocksdb::IOStatus Read(const Call& call);

  mutable Mutex mu_;
  rocksdb::IOStatus halted_ VEDETTE_GUARDED_BY(mu_);
};

}  // namespace vedette::tsdb
