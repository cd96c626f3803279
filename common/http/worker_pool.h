#pragma once

#include <pthread.h>

#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/idle_stack.h"
#include "common/base/mutex.h"
#include "common/base/strings.h"

namespace vedette::http {

// WorkerPool runs tasks in order on a fixed number of named threads; the queue is bounded, and a
// full one says no. Thread-safe.
class WorkerPool {
 public:
  WorkerPool(std::string_view name, int threads, size_t max_queued) : max_queued_(max_queued) {
    for (int i = 0; i < (threads < 1 ? 1 : threads); ++i) {
      threads_.emplace_back([this, title = StrCat(name, "-", i)] {
        pthread_setname_np(pthread_self(), title.substr(0, 15).c_str());
        Run();
      });
    }
  }
  ~WorkerPool() { Stop(); }

  bool Submit(std::function<void()> task) VEDETTE_EXCLUDES(mu_) {
    MutexLock lock(mu_);
    if (stopping_ || tasks_.size() >= max_queued_) return false;
    tasks_.push_back(std::move(task));
    idle_.WakeOne();
    return true;
  }

  // Runs what is queued, then joins. Not from a task.
  void Stop() VEDETTE_EXCLUDES(mu_) {
    {
      MutexLock lock(mu_);
      stopping_ = true;
      idle_.WakeAll();
    }
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }

 private:
  void Run() VEDETTE_EXCLUDES(mu_) {
    while (true) {
      std::function<void()> task;
      {
        MutexLock lock(mu_);
        while (tasks_.empty() && !stopping_) idle_.Wait(mu_);
        if (tasks_.empty()) return;
        task = std::move(tasks_.front());
        tasks_.pop_front();
        if (!tasks_.empty()) idle_.WakeOne();
      }
      task();
    }
  }

  const size_t max_queued_;
  Mutex mu_;
  IdleStack idle_ VEDETTE_GUARDED_BY(mu_);
  std::deque<std::function<void()>> tasks_ VEDETTE_GUARDED_BY(mu_);
  bool stopping_ VEDETTE_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace vedette::http
