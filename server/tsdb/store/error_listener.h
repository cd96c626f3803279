#pragma once

#include <rocksdb/db.h>
#include <rocksdb/listener.h>

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/strings.h"

// Inside this folder only: the headers of RocksDB go no further.
namespace vedette::tsdb {

// Keeps the word of a background error until writing works again.
class ErrorListener : public rocksdb::EventListener {
 public:
  void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* error) override {
    MutexLock lock(mu_);
    if (reason == rocksdb::BackgroundErrorReason::kCompaction && error->IsCorruption()) {
      // A damaged table cannot be merged: no reason to refuse what is new. Readers pass it by.
      if (damage_.size() < 100) damage_.push_back(StrCat("merging tables: ", error->ToString()));
      *error = rocksdb::Status::OK();
      return;
    }
    NoteLocked(*error);
  }
  // RocksDB's own recovery is not used. Of a full disk it waits until there is as much room as its
  // largest memory table takes, for ever on a small disk, and looks every 5 s; and a flush that
  // failed for want of room may be forgotten by 7.8, so that whoever resumes waits for it for ever.
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status,
                            bool* auto_recovery) override {
    *auto_recovery = false;
  }
  void Note(const rocksdb::Status& error) {
    MutexLock lock(mu_);
    NoteLocked(error);
  }
  // A table was written or merged: the manifest has grown.
  void OnFlushCompleted(rocksdb::DB*, const rocksdb::FlushJobInfo&) override { grown_ = true; }
  void OnCompactionCompleted(rocksdb::DB*, const rocksdb::CompactionJobInfo&) override {
    grown_ = true;
  }
  void NoteDamage(const std::string& what) {
    MutexLock lock(mu_);
    damage_.push_back(what);
  }
  std::vector<std::string> TakeDamage() {
    MutexLock lock(mu_);
    return std::exchange(damage_, {});
  }
  bool TakeGrown() { return grown_.exchange(false); }
  void Clear() {
    MutexLock lock(mu_);
    error_.clear();
    failed_ = false;
    full_ = false;
  }
  bool failed() const { return failed_; }
  bool full() const { return full_; }  // Failed, because there was no room.
  std::string error() const {
    MutexLock lock(mu_);
    return error_;
  }

 private:
  void NoteLocked(const rocksdb::Status& error) VEDETTE_REQUIRES(mu_) {
    error_ = error.ToString();
    full_ = error.IsNoSpace();
    failed_ = true;
  }

  mutable Mutex mu_;
  std::string error_ VEDETTE_GUARDED_BY(mu_);
  std::vector<std::string> damage_ VEDETTE_GUARDED_BY(mu_);
  std::atomic<bool> failed_{false};
  std::atomic<bool> full_{false};
  std::atomic<bool> grown_{true};
};

}  // namespace vedette::tsdb
