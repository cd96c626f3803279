#pragma once

#include <shared_mutex>

#include "common/base/mutex.h"

namespace vedette::tsdb {

// Many readers or one writer, for what is read at every commit and written seldom: the index.
class VEDETTE_THREAD_ATTRIBUTE(capability("mutex")) SharedMutex {
 public:
  void Lock() VEDETTE_THREAD_ATTRIBUTE(acquire_capability()) { mu_.lock(); }
  void Unlock() VEDETTE_THREAD_ATTRIBUTE(release_capability()) { mu_.unlock(); }
  void LockShared() VEDETTE_THREAD_ATTRIBUTE(acquire_shared_capability()) { mu_.lock_shared(); }
  void UnlockShared() VEDETTE_THREAD_ATTRIBUTE(release_shared_capability()) { mu_.unlock_shared(); }

 private:
  std::shared_mutex mu_;
};

class VEDETTE_THREAD_ATTRIBUTE(scoped_lockable) ReaderLock {
 public:
  explicit ReaderLock(SharedMutex& mu) VEDETTE_THREAD_ATTRIBUTE(acquire_shared_capability(mu))
      : mu_(mu) {
    mu_.LockShared();
  }
  ~ReaderLock() VEDETTE_THREAD_ATTRIBUTE(release_capability()) { mu_.UnlockShared(); }
  ReaderLock(const ReaderLock&) = delete;
  ReaderLock& operator=(const ReaderLock&) = delete;

 private:
  SharedMutex& mu_;
};

class VEDETTE_THREAD_ATTRIBUTE(scoped_lockable) WriterLock {
 public:
  explicit WriterLock(SharedMutex& mu) VEDETTE_THREAD_ATTRIBUTE(acquire_capability(mu)) : mu_(mu) {
    mu_.Lock();
  }
  ~WriterLock() VEDETTE_THREAD_ATTRIBUTE(release_capability()) { mu_.Unlock(); }
  WriterLock(const WriterLock&) = delete;
  WriterLock& operator=(const WriterLock&) = delete;

 private:
  SharedMutex& mu_;
};

}  // namespace vedette::tsdb
