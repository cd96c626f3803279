#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "common/base/mutex.h"

namespace rocksdb {
class FileSystem;
}

namespace vedette::tsdb {

// A disk with faults, for tests: the machine's own files behind calls that fail by chance, by seed,
// or because the disk is full; and a power cut, after which whatever was not synced is gone, wholly
// or in part. Thread-safe.
class FaultFileSystem {
 public:
  explicit FaultFileSystem(uint64_t seed);
  ~FaultFileSystem();

  // For StoreOptions. Must not outlive this.
  std::shared_ptr<rocksdb::FileSystem> file_system() const { return file_system_; }

  // One call in `n` fails with an I/O error; 0: none.
  void FailWrites(uint64_t n);
  void FailReads(uint64_t n);
  // Everything that needs room fails.
  void SetFull(bool full);
  // Every call fails from now on: the moment of a power cut, and before the storage is closed.
  void Die();
  // Once everything is closed: takes away what was not synced, and works again.
  void ComeBack();
  // Errors given so far.
  uint64_t faults() const;
  // Whether a power cut now would cost nothing of any log.
  bool LogsAreSynced() const;

 private:
  friend class FaultFiles;
  enum class Call : uint8_t { kRead, kWrite, kGrow };
  struct File {
    uint64_t written = 0;
    uint64_t synced = 0;
    bool name_synced = false;  // The directory was synced since it was made.
  };

  // False: the call must fail; `*full` says with which error.
  bool Allowed(Call call, bool* full);
  void Made(const std::string& path);
  void Reopened(const std::string& path);
  void Wrote(const std::string& path, uint64_t bytes);
  void Synced(const std::string& path);
  void DirectorySynced(const std::string& directory);
  void Removed(const std::string& path);
  void Renamed(const std::string& from, const std::string& to);
  uint64_t Random(uint64_t n) VEDETTE_REQUIRES(mu_);

  std::shared_ptr<rocksdb::FileSystem> file_system_;
  mutable Mutex mu_;
  uint64_t state_ VEDETTE_GUARDED_BY(mu_);
  uint64_t fail_writes_ VEDETTE_GUARDED_BY(mu_) = 0;
  uint64_t fail_reads_ VEDETTE_GUARDED_BY(mu_) = 0;
  bool full_ VEDETTE_GUARDED_BY(mu_) = false;
  bool dead_ VEDETTE_GUARDED_BY(mu_) = false;
  uint64_t faults_ VEDETTE_GUARDED_BY(mu_) = 0;
  std::map<std::string, File> files_ VEDETTE_GUARDED_BY(mu_);
  // What a name stood for before a rename that is not synced yet.
  std::map<std::string, std::string> replaced_ VEDETTE_GUARDED_BY(mu_);
};

}  // namespace vedette::tsdb
