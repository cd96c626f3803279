#include "server/memory_limit.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <string_view>
#include <utility>

#include "common/base/strings.h"

namespace vedette {
namespace {

constexpr int64_t kLookEveryNs = 20'000'000;
constexpr int64_t kTrimEveryNs = 1'000'000'000;

std::string ReadAll(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

// The smallest memory.max from this process's control group up to the root; 0 where none is set.
int64_t ControlGroupBytes(const std::string& root) {
  const std::string groups = ReadAll(root + "/proc/self/cgroup");
  int64_t least = 0;
  const auto consider = [&](const std::string& file) {
    const std::string text = ReadAll(file);
    int64_t bytes = 0;
    const std::string_view digits = Trim(text);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bytes);
    // "max", or version 1's huge number, is no bound.
    if (error != std::errc() || bytes <= 0 || bytes > (int64_t{1} << 60)) return;
    if (least == 0 || bytes < least) least = bytes;
  };
  for (const std::string_view line : Split(groups, '\n')) {
    const bool v2 = line.starts_with("0::");
    const size_t memory = line.find(":memory:");
    if (!v2 && memory == std::string_view::npos) continue;
    std::string path(v2 ? line.substr(3) : line.substr(memory + 8));
    const std::string base = root + (v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory");
    const std::string file = v2 ? "/memory.max" : "/memory.limit_in_bytes";
    for (;;) {
      consider(base + (path == "/" ? "" : path) + file);
      const size_t slash = path.rfind('/');
      if (slash == std::string::npos || path.size() <= 1) break;
      path.resize(slash == 0 ? 1 : slash);
    }
  }
  return least;
}

}  // namespace

MemoryLimit::MemoryLimit(int64_t limit_bytes, const Clock& clock, std::string root)
    : clock_(clock),
      root_(std::move(root)),
      limit_bytes_(limit_bytes > 0 ? limit_bytes : ControlGroupBytes(root_) / 10 * 9) {}

int64_t MemoryLimit::used_bytes() const {
  // size resident shared ...: in pages.
  std::ifstream in(root_ + "/proc/self/statm");
  int64_t size = 0;
  int64_t resident = 0;
  int64_t shared = 0;
  if (!(in >> size >> resident >> shared)) return 0;
  return (resident - shared) * sysconf(_SC_PAGESIZE);
}

Status MemoryLimit::Left() {
  if (limit_bytes_ == 0) return {};
  const int64_t now = clock_.MonotonicNs();
  if (now >= next_look_ns_.load(std::memory_order_relaxed)) {
    next_look_ns_.store(now + kLookEveryNs, std::memory_order_relaxed);
    int64_t used = used_bytes();
    if (used > limit_bytes_) {
      // What a large query has freed may still be the allocator's: it is given back first.
      MutexLock lock(mu_);
      if (now >= next_trim_ns_) {
        next_trim_ns_ = now + kTrimEveryNs;
        malloc_trim(0);
        used = used_bytes();
      }
    }
    seen_bytes_.store(used, std::memory_order_relaxed);
  }
  const int64_t seen = seen_bytes_.load(std::memory_order_relaxed);
  if (seen <= limit_bytes_) return {};
  refused_.fetch_add(1, std::memory_order_relaxed);
  return Unavailable(StrCat("the server uses ", seen >> 20, " MiB of memory, more than its limit of ",
                            limit_bytes_ >> 20,
                            " MiB (--memory.limit): queries are refused until it is below"));
}

}  // namespace vedette
