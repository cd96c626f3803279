#include "server/tsdb/store/fault_file_system.h"

#include <rocksdb/file_system.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

namespace vedette::tsdb {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

// The calls of RocksDB on their way to the disk.
class FaultFiles final : public rocksdb::FileSystemWrapper {
 public:
  using Call = FaultFileSystem::Call;
  explicit FaultFiles(FaultFileSystem& faults)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), faults_(faults) {}

  static const char* kClassName() { return "FaultFiles"; }
  const char* Name() const override { return kClassName(); }

  IOStatus Check(Call call) {
    bool full = false;
    if (faults_.Allowed(call, &full)) return IOStatus::OK();
    if (!full) return IOStatus::IOError("injected");
    IOStatus s = IOStatus::NoSpace("injected: the disk is full");
    s.SetRetryable(true);  // As RocksDB's own file system marks it.
    return s;
  }

  class Writable final : public rocksdb::FSWritableFileOwnerWrapper {
   public:
    Writable(FaultFiles& files, std::string path, std::unique_ptr<rocksdb::FSWritableFile> file)
        : FSWritableFileOwnerWrapper(std::move(file)), files_(files), path_(std::move(path)) {}

    IOStatus Append(const rocksdb::Slice& data, const IOOptions& o, IODebugContext* d) override {
      if (IOStatus s = files_.Check(Call::kGrow); !s.ok()) {
        // Half of it may have got there, as on a real disk.
        const rocksdb::Slice part(data.data(), data.size() / 2);
        if (!s.IsNoSpace() && target()->Append(part, o, d).ok()) {
          files_.faults_.Wrote(path_, part.size());
        }
        return s;
      }
      const IOStatus s = target()->Append(data, o, d);
      if (s.ok()) files_.faults_.Wrote(path_, data.size());
      return s;
    }
    IOStatus Append(const rocksdb::Slice& data, const IOOptions& o,
                    const rocksdb::DataVerificationInfo&, IODebugContext* d) override {
      return Append(data, o, d);
    }
    IOStatus Flush(const IOOptions& o, IODebugContext* d) override {
      if (IOStatus s = files_.Check(Call::kWrite); !s.ok()) return s;
      return target()->Flush(o, d);
    }
    IOStatus Sync(const IOOptions& o, IODebugContext* d) override {
      if (IOStatus s = files_.Check(Call::kWrite); !s.ok()) return s;
      files_.faults_.Synced(path_);
      return target()->Flush(o, d);
    }
    IOStatus Fsync(const IOOptions& o, IODebugContext* d) override { return Sync(o, d); }
    IOStatus RangeSync(uint64_t, uint64_t, const IOOptions&, IODebugContext*) override {
      return IOStatus::OK();  // A hint, no promise.
    }
    IOStatus Close(const IOOptions& o, IODebugContext* d) override {
      const IOStatus check = files_.Check(Call::kWrite);
      const IOStatus s = target()->Close(o, d);
      return check.ok() ? s : check;
    }

   private:
    FaultFiles& files_;
    const std::string path_;
  };

  class Random final : public rocksdb::FSRandomAccessFileOwnerWrapper {
   public:
    Random(FaultFiles& files, std::unique_ptr<rocksdb::FSRandomAccessFile> file)
        : FSRandomAccessFileOwnerWrapper(std::move(file)), files_(files) {}
    IOStatus Read(uint64_t offset, size_t n, const IOOptions& o, rocksdb::Slice* result,
                  char* scratch, IODebugContext* d) const override {
      if (IOStatus s = files_.Check(Call::kRead); !s.ok()) return s;
      return FSRandomAccessFileOwnerWrapper::Read(offset, n, o, result, scratch, d);
    }
    IOStatus MultiRead(rocksdb::FSReadRequest* reqs, size_t n, const IOOptions& o,
                       IODebugContext* d) override {
      if (IOStatus s = files_.Check(Call::kRead); !s.ok()) return s;
      return FSRandomAccessFileOwnerWrapper::MultiRead(reqs, n, o, d);
    }

   private:
    FaultFiles& files_;
  };

  class Directory final : public rocksdb::FSDirectoryWrapper {
   public:
    Directory(FaultFiles& files, std::string path, std::unique_ptr<rocksdb::FSDirectory> directory)
        : FSDirectoryWrapper(std::move(directory)), files_(files), path_(std::move(path)) {}
    IOStatus Fsync(const IOOptions&, IODebugContext*) override {
      if (IOStatus s = files_.Check(Call::kWrite); !s.ok()) return s;
      files_.faults_.DirectorySynced(path_);
      return IOStatus::OK();
    }
    IOStatus FsyncWithDirOptions(const IOOptions& o, IODebugContext* d,
                                 const rocksdb::DirFsyncOptions&) override {
      return Fsync(o, d);
    }

   private:
    FaultFiles& files_;
    const std::string path_;
  };

  IOStatus NewWritableFile(const std::string& f, const FileOptions& o,
                           std::unique_ptr<rocksdb::FSWritableFile>* r,
                           IODebugContext* d) override {
    if (IOStatus s = Check(Call::kGrow); !s.ok()) return s;
    FileOptions plain = o;
    plain.use_mmap_writes = false;
    plain.use_direct_writes = false;
    plain.allow_fallocate = false;
    const IOStatus s = target()->NewWritableFile(f, plain, r, d);
    if (!s.ok()) return s;
    faults_.Made(f);
    *r = std::make_unique<Writable>(*this, f, std::move(*r));
    return s;
  }
  IOStatus ReopenWritableFile(const std::string& f, const FileOptions& o,
                              std::unique_ptr<rocksdb::FSWritableFile>* r,
                              IODebugContext* d) override {
    if (IOStatus s = Check(Call::kWrite); !s.ok()) return s;
    FileOptions plain = o;
    plain.use_mmap_writes = false;
    plain.allow_fallocate = false;
    const IOStatus s = target()->ReopenWritableFile(f, plain, r, d);
    if (!s.ok()) return s;
    faults_.Reopened(f);
    *r = std::make_unique<Writable>(*this, f, std::move(*r));
    return s;
  }
  IOStatus NewRandomAccessFile(const std::string& f, const FileOptions& o,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* r,
                               IODebugContext* d) override {
    if (IOStatus s = Check(Call::kRead); !s.ok()) return s;
    FileOptions plain = o;
    plain.use_mmap_reads = false;
    const IOStatus s = target()->NewRandomAccessFile(f, plain, r, d);
    if (s.ok()) *r = std::make_unique<Random>(*this, std::move(*r));
    return s;
  }
  IOStatus NewDirectory(const std::string& f, const IOOptions& o,
                        std::unique_ptr<rocksdb::FSDirectory>* r, IODebugContext* d) override {
    const IOStatus s = target()->NewDirectory(f, o, r, d);
    if (s.ok()) *r = std::make_unique<Directory>(*this, f, std::move(*r));
    return s;
  }
  IOStatus DeleteFile(const std::string& f, const IOOptions& o, IODebugContext* d) override {
    if (IOStatus s = Check(Call::kWrite); !s.ok()) return s;
    const IOStatus s = target()->DeleteFile(f, o, d);
    if (s.ok()) faults_.Removed(f);
    return s;
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions& o,
                      IODebugContext* d) override {
    if (IOStatus s = Check(Call::kWrite); !s.ok()) return s;
    faults_.Renamed(from, to);
    return target()->RenameFile(from, to, o, d);
  }

 private:
  FaultFileSystem& faults_;
};

FaultFileSystem::FaultFileSystem(uint64_t seed)
    : file_system_(std::make_shared<FaultFiles>(*this)), state_(seed * 0x9e3779b97f4a7c15u + 1) {}
FaultFileSystem::~FaultFileSystem() = default;

uint64_t FaultFileSystem::Random(uint64_t n) {
  state_ ^= state_ << 13;
  state_ ^= state_ >> 7;
  state_ ^= state_ << 17;
  return state_ % n;
}

bool FaultFileSystem::Allowed(Call call, bool* full) {
  MutexLock lock(mu_);
  const uint64_t chance = call == Call::kRead ? fail_reads_ : fail_writes_;
  *full = full_ && call == Call::kGrow;
  if (!dead_ && !*full && (chance == 0 || Random(chance) != 0)) return true;
  ++faults_;
  return false;
}

void FaultFileSystem::FailWrites(uint64_t n) {
  MutexLock lock(mu_);
  fail_writes_ = n;
}
void FaultFileSystem::FailReads(uint64_t n) {
  MutexLock lock(mu_);
  fail_reads_ = n;
}
void FaultFileSystem::SetFull(bool full) {
  MutexLock lock(mu_);
  full_ = full;
}
void FaultFileSystem::Die() {
  MutexLock lock(mu_);
  dead_ = true;
}
bool FaultFileSystem::LogsAreSynced() const {
  MutexLock lock(mu_);
  for (const auto& [path, file] : files_) {
    if (path.ends_with(".log") && file.written > 0 &&
        (file.synced < file.written || !file.name_synced)) {
      return false;
    }
  }
  return true;
}
uint64_t FaultFileSystem::faults() const {
  MutexLock lock(mu_);
  return faults_;
}

void FaultFileSystem::Made(const std::string& path) {
  MutexLock lock(mu_);
  files_[path] = {};
}
void FaultFileSystem::Reopened(const std::string& path) {
  MutexLock lock(mu_);
  if (files_.contains(path)) return;
  std::error_code error;
  const uint64_t size = std::filesystem::file_size(path, error);
  files_[path] = {.written = size, .synced = size, .name_synced = true};
}
void FaultFileSystem::Wrote(const std::string& path, uint64_t bytes) {
  MutexLock lock(mu_);
  files_[path].written += bytes;
}
void FaultFileSystem::Synced(const std::string& path) {
  MutexLock lock(mu_);
  files_[path].synced = files_[path].written;
}
void FaultFileSystem::DirectorySynced(const std::string& directory) {
  MutexLock lock(mu_);
  for (auto& [path, file] : files_) {
    if (path.starts_with(directory)) file.name_synced = true;
  }
  replaced_.clear();
}
void FaultFileSystem::Removed(const std::string& path) {
  MutexLock lock(mu_);
  files_.erase(path);
}
void FaultFileSystem::Renamed(const std::string& from, const std::string& to) {
  MutexLock lock(mu_);
  std::ifstream before(to, std::ios::binary);
  if (before) {
    replaced_.try_emplace(to, std::istreambuf_iterator<char>(before),
                          std::istreambuf_iterator<char>());
  }
  const auto it = files_.find(from);
  if (it == files_.end()) return;
  files_[to] = it->second;
  files_[to].name_synced = before.good() || it->second.name_synced;
  files_.erase(it);
}

void FaultFileSystem::ComeBack() {
  MutexLock lock(mu_);
  std::error_code error;
  for (auto& [path, content] : replaced_) {
    if (Random(2) == 0) continue;
    std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
    files_.erase(path);
  }
  for (auto& [path, file] : files_) {
    if (!file.name_synced && Random(2) == 0) {
      std::filesystem::remove(path, error);
      continue;
    }
    const uint64_t unsynced = file.written - file.synced;
    // None of it, all, or some: the system writes when it likes.
    const uint64_t luck = Random(3);
    const uint64_t kept = luck == 0 ? 0 : luck == 1 ? unsynced : unsynced * Random(1000) / 1000;
    const uint64_t size = std::filesystem::file_size(path, error);
    if (!error && size > file.synced + kept) {
      std::filesystem::resize_file(path, file.synced + kept, error);
    }
  }
  files_.clear();
  replaced_.clear();
  dead_ = false;
}

}  // namespace vedette::tsdb
