#pragma once

#include <pthread.h>

#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/idle_stack.h"
#include "common/base/mutex.h"
#include "common/base/strings.h"

namespace vedette::http {

// WorkerPool runs tasks in order on a bounded number of named threads, each of which is made when
// there is nobody idle for the first time; the queue is bounded, and a full one says no. Thread-safe.
class WorkerPool {
 public:
  WorkerPool(std::string_view name, int threads, size_t max_queued)
      : name_(name), max_threads_(threads < 1 ? 1 : static_cast<size_t>(threads)),
        max_queued_(max_queued) {}
  ~WorkerPool() { Stop(); }

  // False too where not even one thread can be made.
  bool Submit(std::function<void()> task) VEDETTE_EXCLUDES(mu_) {
    MutexLock lock(mu_);
    if (stopping_ || tasks_.size() >= max_queued_) return false;
    if (tasks_.size() >= idle_threads_ && threads_.size() < max_threads_ && !AddThread() &&
        threads_.empty()) {
      return false;
    }
    tasks_.push_back(std::move(task));
    idle_.WakeOne();
    return true;
  }

  // Runs what is queued, then joins. Not from a task.
  void Stop() VEDETTE_EXCLUDES(mu_) {
    std::vector<std::thread> threads;
    {
      MutexLock lock(mu_);
      stopping_ = true;
      idle_.WakeAll();
      threads.swap(threads_);
    }
    for (std::thread& thread : threads) thread.join();
  }

 private:
  bool AddThread() VEDETTE_REQUIRES(mu_) {
    try {
      threads_.emplace_back([this, title = StrCat(name_, "-", threads_.size())] {
        pthread_setname_np(pthread_self(), title.substr(0, 15).c_str());
        Run();
      });
    } catch (const std::system_error&) {
      return false;  // The process has as many as it may.
    }
    ++idle_threads_;  // It takes its first task as soon as it runs.
    return true;
  }

  void Run() VEDETTE_EXCLUDES(mu_) {
    for (bool worked = false;;) {
      std::function<void()> task;
      {
        MutexLock lock(mu_);
        idle_threads_ += worked ? 1 : 0;
        while (tasks_.empty() && !stopping_) idle_.Wait(mu_);
        if (tasks_.empty()) return;
        task = std::move(tasks_.front());
        tasks_.pop_front();
        --idle_threads_;
        if (!tasks_.empty()) idle_.WakeOne();
      }
      task();
      worked = true;
    }
  }

  const std::string name_;
  const size_t max_threads_;
  const size_t max_queued_;
  Mutex mu_;
  IdleStack idle_ VEDETTE_GUARDED_BY(mu_);
  std::deque<std::function<void()>> tasks_ VEDETTE_GUARDED_BY(mu_);
  bool stopping_ VEDETTE_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_ VEDETTE_GUARDED_BY(mu_);
  size_t idle_threads_ VEDETTE_GUARDED_BY(mu_) = 0;  // Not at a task.
};

}  // namespace vedette::http
