#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/status.h"

namespace vedette {

// The memory of this process against a ceiling: while it is above, queries are refused, so that
// what is left belongs to the samples that come in.
//
//   MemoryLimit limit(options.memory_limit_bytes, SystemClock());
//   engine_options.memory_left = [&] { return limit.Left(); };
//
// Thread-safe; the process is asked at most fifty times a second.
class MemoryLimit {
 public:
  // 0: nine tenths of what the control group of this process allows; without such a bound there is
  // no ceiling. `root` is "" outside of tests: the folder that /proc and /sys are below.
  MemoryLimit(int64_t limit_bytes, const Clock& clock, std::string root = "");

  // kUnavailable while the process is above the ceiling.
  Status Left() VEDETTE_EXCLUDES(mu_);

  int64_t limit_bytes() const { return limit_bytes_; }  // 0: no ceiling.
  // Memory that is this process's alone: resident, without what is shared with files.
  int64_t used_bytes() const;
  uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }

 private:
  const Clock& clock_;
  const std::string root_;
  const int64_t limit_bytes_;
  std::atomic<int64_t> seen_bytes_{0};
  std::atomic<int64_t> next_look_ns_{0};
  std::atomic<uint64_t> refused_{0};
  Mutex mu_;
  int64_t next_trim_ns_ VEDETTE_GUARDED_BY(mu_) = 0;
};

}  // namespace vedette
