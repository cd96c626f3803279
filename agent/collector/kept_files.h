#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace vedette::agent {

// KeptFiles reads the kernel's small files without opening them each time: a file of /proc, /sys or
// a control group is opened once and read from its start again, which makes the kernel write it anew.
// That is one call instead of four, and most of what a scrape costs is calls. A file that is not there
// is not looked for again for a while; one that went away with its device or group says so when
// it is read, and is opened anew. Files of other file systems, and those of single processes but the
// first, are opened each time.
//
// What several collectors read of /proc at the same moment, such as meminfo, the kernel writes once:
// they get the same text, and so the same numbers.
//
//   std::string text;
//   if (KeptFiles::Shared().Read("/sys/class/net/eth0/mtu", text) == 0) Use(text);
//
// Thread-safe; a file that hangs holds up nobody else's.
class KeptFiles {
 public:
  // Everybody's. Tests of other roots see plain files, which are never kept.
  static KeptFiles& Shared();

  explicit KeptFiles(const Clock& clock = SystemClock());
  ~KeptFiles();
  KeptFiles(const KeptFiles&) = delete;
  KeptFiles& operator=(const KeptFiles&) = delete;

  // The whole file into `out`. 0, or errno's number: ENOENT where it is not there, EFBIG where it is
  // longer than kMaxBytes.
  int Read(const std::string& path, std::string& out) VEDETTE_EXCLUDES(mu_);

  // The names in a folder, in no order, without "." and ".."; nothing where there is no such folder.
  // `folders_only` leaves out what is surely none.
  std::vector<std::string> List(const std::string& path, bool folders_only = false)
      VEDETTE_EXCLUDES(mu_);

  size_t kept() const VEDETTE_EXCLUDES(mu_);

  static constexpr size_t kMaxBytes = 16 << 20;
  // What nobody read for so long is closed.
  static constexpr int64_t kIdleNs = 120'000'000'000;
  // What was not there, or was an empty folder, is looked for again after so long.
  static constexpr int64_t kAbsentNs = 20'000'000'000;
  // So long a file of /proc is the same for whoever reads it.
  static constexpr int64_t kMomentNs = 20'000'000;

 private:
  enum class Kind : uint8_t { kNotKept, kAttribute, kOneRecord, kSequence, kLongSequence };
  struct Entry {
    Entry(int descriptor, Kind what, int64_t now)
        : fd(descriptor), kind(what), opened_ns(now), used_ns(now) {}
    ~Entry();
    const int fd;  // -1: it was not there.
    const Kind kind;
    const int64_t opened_ns;
    int64_t used_ns;  // Guarded by mu_.

    bool shared() const { return kind >= Kind::kOneRecord; }
    Mutex mu;
    int64_t read_ns VEDETTE_GUARDED_BY(mu) = -kMomentNs;
    // Kept once a second reader came within a moment.
    bool wanted VEDETTE_GUARDED_BY(mu) = false;
    std::string text VEDETTE_GUARDED_BY(mu);
  };
  using EntryPtr = std::shared_ptr<Entry>;

  static Kind KindOf(int fd, const std::string& path);
  static int ReadAll(const Entry& entry, std::string& out);
  // The same, or what another reader of this moment got.
  int ReadShared(Entry& entry, std::string& out) const VEDETTE_EXCLUDES(entry.mu);
  // What is kept under this path, opened if need be; null with errno's number where it cannot be.
  EntryPtr Find(const std::string& path, int flags, int& error) VEDETTE_EXCLUDES(mu_);
  void Forget(const std::string& path, const EntryPtr& entry) VEDETTE_EXCLUDES(mu_);
  void CloseIdle(int64_t now) VEDETTE_REQUIRES(mu_);

  const Clock& clock_;
  const size_t most_;  // Files kept at once: a part of what the process may open.
  mutable Mutex mu_;
  Mutex listing_;  // Held while a kept folder is read; never together with mu_.
  std::unordered_map<std::string, EntryPtr> entries_ VEDETTE_GUARDED_BY(mu_);
  size_t open_ VEDETTE_GUARDED_BY(mu_) = 0;
  int64_t looked_ns_ VEDETTE_GUARDED_BY(mu_) = 0;
};

}  // namespace vedette::agent
