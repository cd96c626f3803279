#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "common/base/mutex.h"

namespace vedette::remote {

// StopSignal ends the waits of several threads at once. Thread-safe.
class StopSignal {
 public:
  void Set() VEDETTE_EXCLUDES(mu_) {
    set_.store(true, std::memory_order_release);
    MutexLock lock(mu_);
    changed_.NotifyAll();
  }
  bool is_set() const { return set_.load(std::memory_order_acquire); }
  // For calls that look at a flag by themselves.
  const std::atomic<bool>& flag() const { return set_; }
  // Waits so long, or until it is set; returns whether it is.
  bool WaitFor(int64_t ms) VEDETTE_EXCLUDES(mu_) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
    MutexLock lock(mu_);
    while (!is_set()) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
                            end - std::chrono::steady_clock::now())
                            .count();
      if (left <= 0) break;
      changed_.WaitFor(mu_, left);
    }
    return is_set();
  }

 private:
  std::atomic<bool> set_{false};
  Mutex mu_;
  CondVar changed_;
};

}  // namespace vedette::remote
