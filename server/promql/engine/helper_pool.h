#pragma once

#include <functional>
#include <thread>
#include <vector>

#include "common/base/mutex.h"

namespace vedette::promql {

// Threads that help large queries ("query-helper"): a fixed number, started with the first task.
// Nothing waits in a queue: who finds no idle thread does its work alone. Thread-safe.
class HelperPool {
 public:
  explicit HelperPool(int threads) : size_(threads) {}
  ~HelperPool();  // Waits for the tasks that run.
  HelperPool(const HelperPool&) = delete;
  HelperPool& operator=(const HelperPool&) = delete;

  // Runs the task on a thread of the pool; false, and it is not run, where none is idle.
  bool TryRun(std::function<void()> task) VEDETTE_EXCLUDES(mu_);

 private:
  void Work() VEDETTE_EXCLUDES(mu_);

  const int size_;
  Mutex mu_;
  CondVar changed_;
  int idle_ VEDETTE_GUARDED_BY(mu_) = 0;  // Less those that a task waits for.
  std::vector<std::function<void()>> tasks_ VEDETTE_GUARDED_BY(mu_);
  bool stopping_ VEDETTE_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_ VEDETTE_GUARDED_BY(mu_);
};

}  // namespace vedette::promql
