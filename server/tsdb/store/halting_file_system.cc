#include "server/tsdb/store/halting_file_system.h"

#include <chrono>
#include <string>
#include <thread>
#include <utility>

namespace vedette::tsdb {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

namespace {

// What is not there is an answer, not an error.
bool IsAnswer(const IOStatus& s) {
  return s.ok() || s.IsNotFound() || s.IsPathNotFound() || s.IsNotSupported();
}

}  // namespace

template <typename Call>
IOStatus HaltingFileSystem::Change(const Call& call) {
  {
    MutexLock lock(mu_);
    if (!halted_.ok()) return halted_;
  }
  IOStatus s = call();
  if (IsAnswer(s)) return s;
  MutexLock lock(mu_);
  if (halted_.ok()) halted_ = s;
  return s;
}

template <typename Call>
IOStatus HaltingFileSystem::Read(const Call& call) {
  constexpr int kTries = 6;
  IOStatus s = call();
  for (int tries = 1; tries < kTries && !IsAnswer(s); ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    s = call();
  }
  return s;
}

class HaltingFileSystem::Random final : public rocksdb::FSRandomAccessFileOwnerWrapper {
 public:
  using FSRandomAccessFileOwnerWrapper::FSRandomAccessFileOwnerWrapper;
  IOStatus Read(uint64_t offset, size_t n, const IOOptions& o, Slice* result, char* scratch,
                IODebugContext* d) const override {
    return HaltingFileSystem::Read([&] {
      return FSRandomAccessFileOwnerWrapper::Read(offset, n, o, result, scratch, d);
    });
  }
};

class HaltingFileSystem::Writable final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  Writable(HaltingFileSystem& files, std::unique_ptr<rocksdb::FSWritableFile> file)
      : FSWritableFileOwnerWrapper(std::move(file)), files_(files) {}

  IOStatus Append(const Slice& data, const IOOptions& o, IODebugContext* d) override {
    return files_.Change([&] { return target()->Append(data, o, d); });
  }
  IOStatus Append(const Slice& data, const IOOptions& o, const rocksdb::DataVerificationInfo& v,
                  IODebugContext* d) override {
    return files_.Change([&] { return target()->Append(data, o, v, d); });
  }
  IOStatus Flush(const IOOptions& o, IODebugContext* d) override {
    return files_.Change([&] { return target()->Flush(o, d); });
  }
  IOStatus Sync(const IOOptions& o, IODebugContext* d) override {
    return files_.Change([&] { return target()->Sync(o, d); });
  }
  IOStatus Fsync(const IOOptions& o, IODebugContext* d) override {
    return files_.Change([&] { return target()->Fsync(o, d); });
  }
  IOStatus Close(const IOOptions& o, IODebugContext* d) override {
    // Closed in any case, or it would stay open.
    const IOStatus s = target()->Close(o, d);
    return files_.Change([&] { return s; });
  }

 private:
  HaltingFileSystem& files_;
};

class HaltingFileSystem::Directory final : public rocksdb::FSDirectoryWrapper {
 public:
  Directory(HaltingFileSystem& files, std::unique_ptr<rocksdb::FSDirectory> directory)
      : FSDirectoryWrapper(std::move(directory)), files_(files) {}
  IOStatus Fsync(const IOOptions& o, IODebugContext* d) override {
    return files_.Change([&] { return FSDirectoryWrapper::Fsync(o, d); });
  }
  IOStatus FsyncWithDirOptions(const IOOptions& o, IODebugContext* d,
                               const rocksdb::DirFsyncOptions& what) override {
    return files_.Change([&] { return FSDirectoryWrapper::FsyncWithDirOptions(o, d, what); });
  }

 private:
  HaltingFileSystem& files_;
};

IOStatus HaltingFileSystem::halted() const {
  MutexLock lock(mu_);
  return halted_;
}

IOStatus HaltingFileSystem::NewRandomAccessFile(const std::string& f, const FileOptions& o,
                                                std::unique_ptr<rocksdb::FSRandomAccessFile>* r,
                                                IODebugContext* d) {
  IOStatus s = Read([&] { return target()->NewRandomAccessFile(f, o, r, d); });
  if (s.ok()) *r = std::make_unique<Random>(std::move(*r));
  return s;
}

IOStatus HaltingFileSystem::NewWritableFile(const std::string& f, const FileOptions& o,
                                            std::unique_ptr<rocksdb::FSWritableFile>* r,
                                            IODebugContext* d) {
  IOStatus s = Change([&] { return target()->NewWritableFile(f, o, r, d); });
  if (s.ok()) *r = std::make_unique<Writable>(*this, std::move(*r));
  return s;
}

IOStatus HaltingFileSystem::NewDirectory(const std::string& f, const IOOptions& o,
                                         std::unique_ptr<rocksdb::FSDirectory>* r,
                                         IODebugContext* d) {
  IOStatus s = target()->NewDirectory(f, o, r, d);
  if (s.ok()) *r = std::make_unique<Directory>(*this, std::move(*r));
  return s;
}

IOStatus HaltingFileSystem::CreateDirIfMissing(const std::string& f, const IOOptions& o,
                                               IODebugContext* d) {
  return Change([&] { return target()->CreateDirIfMissing(f, o, d); });
}

IOStatus HaltingFileSystem::DeleteFile(const std::string& f, const IOOptions& o,
                                       IODebugContext* d) {
  return Change([&] { return target()->DeleteFile(f, o, d); });
}

IOStatus HaltingFileSystem::RenameFile(const std::string& from, const std::string& to,
                                       const IOOptions& o, IODebugContext* d) {
  return Change([&] { return target()->RenameFile(from, to, o, d); });
}

}  // namespace vedette::tsdb
