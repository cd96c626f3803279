// Put before a program with LD_PRELOAD: writes and syncs of files below EIO_BELOW fail with EIO while
// the file EIO_SWITCH exists. A disk that has become bad, as a process sees it.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

bool Fails(int fd) {
  static const char* const below = std::getenv("EIO_BELOW");
  static const char* const with = std::getenv("EIO_SWITCH");
  if (below == nullptr || with == nullptr || fd < 0 || ::access(with, F_OK) != 0) return false;
  char link[64];
  char path[4096];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t n = ::readlink(link, path, sizeof path - 1);
  if (n <= 0) return false;
  path[n] = '\0';
  return std::strncmp(path, below, std::strlen(below)) == 0;
}

template <typename F>
F* Real(const char* name) {
  return reinterpret_cast<F*>(::dlsym(RTLD_NEXT, name));
}

template <typename T>
T Fail() {
  errno = EIO;
  return static_cast<T>(-1);
}

}  // namespace

extern "C" {

ssize_t write(int fd, const void* bytes, size_t n) {
  static auto* const real = Real<ssize_t(int, const void*, size_t)>("write");
  return Fails(fd) ? Fail<ssize_t>() : real(fd, bytes, n);
}
ssize_t pwrite(int fd, const void* bytes, size_t n, off_t at) {
  static auto* const real = Real<ssize_t(int, const void*, size_t, off_t)>("pwrite");
  return Fails(fd) ? Fail<ssize_t>() : real(fd, bytes, n, at);
}
ssize_t pwrite64(int fd, const void* bytes, size_t n, off64_t at) {
  static auto* const real = Real<ssize_t(int, const void*, size_t, off64_t)>("pwrite64");
  return Fails(fd) ? Fail<ssize_t>() : real(fd, bytes, n, at);
}
int fsync(int fd) {
  static auto* const real = Real<int(int)>("fsync");
  return Fails(fd) ? Fail<int>() : real(fd);
}
int fdatasync(int fd) {
  static auto* const real = Real<int(int)>("fdatasync");
  return Fails(fd) ? Fail<int>() : real(fd);
}
}
