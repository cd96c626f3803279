#include "common/tls/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "common/base/strings.h"

namespace vedette::tls {
namespace {

Status FromErrno(int error, const std::string& path, std::string_view verb) {
  const std::string message = StrCat(verb, " ", path, ": ", std::strerror(error));
  switch (error) {
    case ENOENT:
      return NotFound(message);
    case EACCES:
    case EPERM:
      return PermissionDenied(message);
    case EEXIST:
      return AlreadyExists(message);
    default:
      return Unavailable(message);
  }
}

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Status WriteAll(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FromErrno(errno, path, "write");
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  if (::fsync(fd) != 0) return FromErrno(errno, path, "sync");
  return {};
}

}  // namespace

Result<std::string> ReadFile(const std::string& path) {
  // A FIFO by mistake must not make us wait.
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) return FromErrno(errno, path, "open");
  std::string out;
  std::array<char, 16384> buffer;
  for (;;) {
    const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FromErrno(errno, path, "read");
    if (n == 0) return out;
    out.append(buffer.data(), static_cast<size_t>(n));
    if (out.size() > kMaxFileBytes) {
      return ResourceExhausted(StrCat(path, " is larger than ", kMaxFileBytes, " bytes"));
    }
  }
}

Status WriteFile(const std::string& path, std::string_view bytes, unsigned mode, IfThere if_there) {
  const std::string temporary = StrCat(path, ".", static_cast<int64_t>(::getpid()), ".tmp");
  {
    Fd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
    if (fd.get() < 0) return FromErrno(errno, temporary, "create");
    if (Status written = WriteAll(fd.get(), bytes, temporary); !written.ok()) {
      ::unlink(temporary.c_str());
      return written;
    }
  }
  // link() refuses an existing name where rename() would replace it.
  const bool replace = if_there == IfThere::kReplace;
  const int outcome = replace ? std::rename(temporary.c_str(), path.c_str())
                              : ::link(temporary.c_str(), path.c_str());
  const int error = errno;
  if (!replace || outcome != 0) ::unlink(temporary.c_str());
  if (outcome != 0) return FromErrno(error, path, "create");

  const size_t slash = path.rfind('/');
  const std::string dir = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  Fd parent(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (parent.get() >= 0) ::fsync(parent.get());  // Best effort: not every file system can.
  return {};
}

std::string FileStamp(const std::string& path) {
  struct stat s;
  if (::stat(path.c_str(), &s) != 0) return "absent";
  return StrCat(s.st_dev, ":", s.st_ino, ":", s.st_size, ":", s.st_mtim.tv_sec, ".",
                s.st_mtim.tv_nsec, ":", s.st_ctim.tv_sec, ".", s.st_ctim.tv_nsec);
}

Result<FileLock> FileLock::Take(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return FromErrno(errno, path, "open");
  while (::flock(fd, LOCK_EX) != 0) {
    if (errno == EINTR) continue;
    const int error = errno;
    ::close(fd);
    return FromErrno(error, path, "lock");
  }
  return FileLock(fd);
}

FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace vedette::tls
