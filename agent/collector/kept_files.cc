#include "agent/collector/kept_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <string_view>
#include <utility>

namespace vedette::agent {
namespace {

size_t MostKept() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 256;
  // The kernel keeps a page for each that was read.
  return std::min<size_t>(limit.rlim_cur / 2, 2'048);
}

// /proc/PID: an open file of a process holds on to what the process leaves behind. The first process
// outlives us.
bool IsOfAProcess(std::string_view path) {
  return path.starts_with("/proc/") && path.size() > 6 && path[6] >= '0' && path[6] <= '9' &&
         !path.starts_with("/proc/1/");
}

// Mounts of a process may have options, or statistics, of some thousand bytes, and arrays hundreds of
// disks.
bool HasLongRecords(std::string_view path) {
  return path.starts_with("/proc/self/") || path.starts_with("/proc/1/") || path == "/proc/mdstat";
}

// Files that the kernel writes as one record, whatever their length: a read gives all of it that there
// is room for.
bool IsOneRecord(std::string_view path) {
  static constexpr std::string_view kNames[] = {
      "/proc/stat",           "/proc/meminfo",      "/proc/loadavg",
      "/proc/net/snmp",       "/proc/net/snmp6",    "/proc/net/netstat",
      "/proc/net/sockstat",   "/proc/net/sockstat6"};
  return std::ranges::find(kNames, path) != std::end(kNames);
}

bool IsOfTheKernel(std::string_view path) {
  return path.starts_with("/sys/") || path.starts_with("/proc/");
}

bool IsOfAGroup(std::string_view path) { return path.starts_with("/sys/fs/cgroup/"); }

// linux_dirent64, which glibc does not show.
struct RawName {
  uint64_t inode;
  int64_t offset;
  uint16_t length;
  uint8_t type;
  char name[];
};

// Appends the names of an open folder; returns how many entries there were, "." and ".." counted.
// Folders of attributes fill the buffer as long as names fit: where it was far from full, the call
// that only says "no more" is saved.
size_t ReadNames(int fd, bool fills, bool folders_only, std::vector<std::string>& names) {
  alignas(RawName) char buffer[32 << 10];
  size_t seen = 0;
  for (;;) {
    const long n = syscall(SYS_getdents64, fd, buffer, sizeof buffer);
    if (n <= 0) return seen;
    for (long at = 0; at < n;) {
      const auto* entry = reinterpret_cast<const RawName*>(buffer + at);
      at += entry->length;
      ++seen;
      const std::string_view name = entry->name;
      if (name == "." || name == "..") continue;
      if (folders_only && entry->type != DT_DIR && entry->type != DT_UNKNOWN) continue;
      names.emplace_back(name);
    }
    if (fills && static_cast<size_t>(n) < sizeof buffer / 2) return seen;
  }
}

}  // namespace

KeptFiles::Entry::~Entry() {
  if (fd >= 0) close(fd);
}

KeptFiles& KeptFiles::Shared() {
  static auto* files = new KeptFiles();
  return *files;
}

KeptFiles::KeptFiles(const Clock& clock) : clock_(clock), most_(MostKept()) {}

KeptFiles::~KeptFiles() = default;

size_t KeptFiles::kept() const {
  MutexLock lock(mu_);
  return open_;
}

KeptFiles::Kind KeptFiles::KindOf(int fd, const std::string& path) {
  struct statfs fs = {};
  if (fstatfs(fd, &fs) != 0 || IsOfAProcess(path)) return Kind::kNotKept;
  switch (static_cast<uint64_t>(fs.f_type)) {
    case SYSFS_MAGIC:
    case CGROUP_SUPER_MAGIC:
    case CGROUP2_SUPER_MAGIC:
      return Kind::kAttribute;
    case PROC_SUPER_MAGIC:
      if (IsOneRecord(path)) return Kind::kOneRecord;
      return HasLongRecords(path) ? Kind::kLongSequence : Kind::kSequence;
    default:
      return Kind::kNotKept;
  }
}

// From the start of the file to its end.
int KeptFiles::ReadAll(const Entry& entry, std::string& out) {
  char buffer[16 << 10];
  out.clear();
  for (;;) {
    const ssize_t n = pread(entry.fd, buffer, sizeof buffer, static_cast<off_t>(out.size()));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    out.append(buffer, static_cast<size_t>(n));
    // The kernel hands out whole records as long as a page holds them. Where they are short, much
    // less than a page is all there is; where one may be longer than the rest of the page, only
    // nothing is the end.
    const ssize_t all = entry.kind == Kind::kAttribute   ? 2048
                        : entry.kind == Kind::kOneRecord ? static_cast<ssize_t>(sizeof buffer)
                        : entry.kind == Kind::kSequence  ? 1024
                                                         : 0;
    if (n == 0 || n < all) return 0;
    if (out.size() > kMaxBytes) return EFBIG;
  }
}

int KeptFiles::ReadShared(Entry& entry, std::string& out) const {
  const int64_t now = clock_.MonotonicNs();
  {
    MutexLock lock(entry.mu);
    if (now - entry.read_ns < kMomentNs) {
      if (!entry.text.empty()) {
        out = entry.text;
        return 0;
      }
      entry.wanted = true;
    }
  }
  const int error = ReadAll(entry, out);
  if (error != 0) return error;
  MutexLock lock(entry.mu);
  entry.read_ns = now;
  if (entry.wanted) entry.text = out;
  return 0;
}

KeptFiles::EntryPtr KeptFiles::Find(const std::string& path, int flags, int& error) {
  const int64_t now = clock_.MonotonicNs();
  error = 0;
  {
    MutexLock lock(mu_);
    if (now - looked_ns_ > kIdleNs / 4) CloseIdle(now);
    if (const auto at = entries_.find(path); at != entries_.end()) {
      const EntryPtr& entry = at->second;
      if (entry->fd >= 0) {
        entry->used_ns = now;
        return entry;
      }
      error = ENOENT;
      if (now - entry->used_ns < kAbsentNs) return nullptr;
      entries_.erase(at);
    }
  }
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | flags);
  error = fd < 0 ? errno : 0;
  // A control group that is away may come back with all its files, as a service's does.
  const bool absent = (error == ENOENT || error == ENOTDIR) && IsOfTheKernel(path) &&
                      !IsOfAProcess(path) &&
                      (!IsOfAGroup(path) ||
                       access(path.substr(0, path.rfind('/')).c_str(), F_OK) == 0);
  if (fd < 0 && !absent) return nullptr;
  auto entry = std::make_shared<Entry>(fd, fd < 0 ? Kind::kNotKept : KindOf(fd, path), now);
  MutexLock lock(mu_);
  const bool keep = absent || (entry->kind != Kind::kNotKept && open_ < most_);
  if (keep && entries_.emplace(path, entry).second && fd >= 0) ++open_;
  return fd < 0 ? nullptr : entry;
}

void KeptFiles::Forget(const std::string& path, const EntryPtr& entry) {
  MutexLock lock(mu_);
  const auto at = entries_.find(path);
  if (at == entries_.end() || at->second != entry) return;
  entries_.erase(at);
  --open_;
}

int KeptFiles::Read(const std::string& path, std::string& out) {
  for (bool again = true;; again = false) {
    int error = 0;
    const EntryPtr entry = Find(path, 0, error);
    if (entry == nullptr) {
      out.clear();
      return error;
    }
    error = entry->shared() ? ReadShared(*entry, out) : ReadAll(*entry, out);
    // ENODEV: the device or group is gone, and perhaps another has its name. Other errors are the
    // file's answer, such as the speed of a device that is down.
    if (error != ENODEV || !again) return error;
    Forget(path, entry);
  }
}

std::vector<std::string> KeptFiles::List(const std::string& path, bool folders_only) {
  std::vector<std::string> names;
  for (bool again = true;; again = false) {
    int error = 0;
    const EntryPtr entry = Find(path, O_DIRECTORY, error);
    if (entry == nullptr) return names;
    const bool shared = entry->kind != Kind::kNotKept;
    size_t seen = 0;
    if (shared) {
      // Two that list the same folder at one time would share its position.
      MutexLock lock(listing_);
      lseek(entry->fd, 0, SEEK_SET);
      seen = ReadNames(entry->fd, entry->kind == Kind::kAttribute, folders_only, names);
    } else {
      seen = ReadNames(entry->fd, false, folders_only, names);
    }
    // A folder that went away is empty for who has it open; but many are empty where they are, such as
    // those of a virtual machine's sensors, and what comes into them is seen.
    if (!shared || seen > 2 || !again) return names;
    if (!IsOfAGroup(path) && clock_.MonotonicNs() - entry->opened_ns < kAbsentNs) return names;
    Forget(path, entry);
  }
}

void KeptFiles::CloseIdle(int64_t now) {
  looked_ns_ = now;
  for (auto it = entries_.begin(); it != entries_.end();) {
    if (now - it->second->used_ns < kIdleNs) {
      ++it;
      continue;
    }
    if (it->second->fd >= 0) --open_;
    it = entries_.erase(it);
  }
}

}  // namespace vedette::agent
