#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "common/base/mutex.h"

namespace vedette::http {

// Bodies are large and needed for a moment: whoever makes one takes a buffer here, and whoever has
// read it gives it back. A buffer holds anything, at any length: what is resized within it costs
// nothing. Thread-safe.
class BodyBuffers {
 public:
  std::string Take() VEDETTE_EXCLUDES(mu_) {
    MutexLock lock(mu_);
    if (free_.empty()) return {};
    std::string buffer = std::move(free_.back());
    free_.pop_back();
    return buffer;
  }
  void Give(std::string buffer) VEDETTE_EXCLUDES(mu_) {
    if (buffer.capacity() > kMaxBytes) return;
    MutexLock lock(mu_);
    if (free_.size() < kMaxFree) free_.push_back(std::move(buffer));
  }

 private:
  static constexpr size_t kMaxFree = 8;
  static constexpr size_t kMaxBytes = 2 << 20;
  Mutex mu_;
  std::vector<std::string> free_ VEDETTE_GUARDED_BY(mu_);
};

}  // namespace vedette::http
