#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "server/promql/engine.h"

namespace vedette::promql {

// One query that waits or runs, as its own thread reports on it and others look at it.
class RunningQuery {
 public:
  RunningQuery(uint64_t id, const Query& query, int64_t began_ms)
      : id_(id), query_(query), began_ms_(began_ms) {}

  bool killed() const { return killed_.load(std::memory_order_relaxed); }
  void Kill() { killed_.store(true, std::memory_order_relaxed); }
  void Begin() { running_.store(true, std::memory_order_relaxed); }
  void Report(uint64_t series, uint64_t samples, uint64_t bytes) {
    series_.store(series, std::memory_order_relaxed);
    samples_.store(samples, std::memory_order_relaxed);
    bytes_.store(bytes, std::memory_order_relaxed);
  }
  uint64_t id() const { return id_; }
  ActiveQuery Describe() const;

 private:
  const uint64_t id_;
  const Query query_;
  const int64_t began_ms_;
  std::atomic<bool> killed_{false};
  std::atomic<bool> running_{false};
  std::atomic<uint64_t> series_{0};
  std::atomic<uint64_t> samples_{0};
  std::atomic<uint64_t> bytes_{0};
};

// The queries of an engine that have not ended. Thread-safe.
class ActiveQueries {
 public:
  // Listed until Remove.
  std::shared_ptr<RunningQuery> Add(const Query& query, int64_t now_ms) VEDETTE_EXCLUDES(mu_);
  void Remove(uint64_t id) VEDETTE_EXCLUDES(mu_);

  std::vector<ActiveQuery> List() const VEDETTE_EXCLUDES(mu_);
  // kNotFound where no such query waits or runs.
  Status Kill(uint64_t id) VEDETTE_EXCLUDES(mu_);
  size_t size() const VEDETTE_EXCLUDES(mu_);

 private:
  mutable Mutex mu_;
  uint64_t next_ VEDETTE_GUARDED_BY(mu_) = 1;
  std::map<uint64_t, std::shared_ptr<RunningQuery>> queries_ VEDETTE_GUARDED_BY(mu_);
};

}  // namespace vedette::promql
