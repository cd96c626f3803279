#pragma once

#include <string>
#include <string_view>

#include "common/base/status.h"

// Small files, whole. Private to common/tls.
namespace vedette::tls {

// Certificates and keys are a few kilobytes; a revocation list may be larger.
inline constexpr size_t kMaxFileBytes = 4 << 20;

Result<std::string> ReadFile(const std::string& path);

enum class IfThere { kKeep, kReplace };

// Writes a temporary file beside `path` (O_EXCL, with `mode` from the start), syncs it and moves it
// into place, so that a reader sees the old bytes or the new ones. kKeep: ALREADY_EXISTS if there
// is something at `path`.
Status WriteFile(const std::string& path, std::string_view bytes, unsigned mode, IfThere if_there);

// Changes whenever the file at `path` does: device, inode, size and times. "absent" if there is
// none.
std::string FileStamp(const std::string& path);

// Holds an exclusive lock on a file of that path for as long as it lives.
class FileLock {
 public:
  static Result<FileLock> Take(const std::string& path);
  FileLock(FileLock&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace vedette::tls
