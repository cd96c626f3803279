#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

// std::mutex under clang's thread-safety attributes: the clang build proves that a guarded field
// is touched only under its lock. Not absl::Mutex, because Debian's is not built for
// ThreadSanitizer, which then reports races that are none (docs/decisions/0003). The macros carry
// our name because gRPC's headers bring abseil's unprefixed GUARDED_BY into every file.
#if defined(__clang__)
#define VEDETTE_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define VEDETTE_THREAD_ATTRIBUTE(x)
#endif

#define VEDETTE_GUARDED_BY(mu) VEDETTE_THREAD_ATTRIBUTE(guarded_by(mu))
#define VEDETTE_REQUIRES(...) VEDETTE_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define VEDETTE_EXCLUDES(...) VEDETTE_THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))

namespace vedette {

class VEDETTE_THREAD_ATTRIBUTE(capability("mutex")) Mutex {
 public:
  void Lock() VEDETTE_THREAD_ATTRIBUTE(acquire_capability()) { mu_.lock(); }
  void Unlock() VEDETTE_THREAD_ATTRIBUTE(release_capability()) { mu_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mu_;
};

class VEDETTE_THREAD_ATTRIBUTE(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mu) VEDETTE_THREAD_ATTRIBUTE(acquire_capability(mu)) : mu_(mu) {
    mu_.Lock();
  }
  ~MutexLock() VEDETTE_THREAD_ATTRIBUTE(release_capability()) { mu_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mu_;
};

class CondVar {
 public:
  void Wait(Mutex& mu) VEDETTE_REQUIRES(mu) {
    std::unique_lock<std::mutex> lock(mu.mu_, std::adopt_lock);
    cv_.wait(lock);
    lock.release();  // The caller's MutexLock still owns it.
  }

  // Waits for a notification or for `timeout_ms`, whichever comes first; returns false on timeout.
  // Spurious wake-ups happen: the caller loops on its own condition.
  bool WaitFor(Mutex& mu, int64_t timeout_ms) VEDETTE_REQUIRES(mu) {
    std::unique_lock<std::mutex> lock(mu.mu_, std::adopt_lock);
    const auto outcome = cv_.wait_for(lock, std::chrono::milliseconds(timeout_ms));
    lock.release();
    return outcome == std::cv_status::no_timeout;
  }

  void NotifyOne() { cv_.notify_one(); }
  void NotifyAll() { cv_.notify_all(); }

 private:
  std::condition_variable cv_;
};

}  // namespace vedette
