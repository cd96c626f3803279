#include "server/promql/engine/helper_pool.h"

#include <pthread.h>

#include <utility>

namespace vedette::promql {

HelperPool::~HelperPool() {
  std::vector<std::thread> threads;
  {
    MutexLock lock(mu_);
    stopping_ = true;
    threads.swap(threads_);
  }
  changed_.NotifyAll();
  for (std::thread& t : threads) t.join();
}

bool HelperPool::TryRun(std::function<void()> task) {
  MutexLock lock(mu_);
  if (threads_.empty() && !stopping_) {
    for (int i = 0; i < size_; ++i) {
      threads_.emplace_back([this] { Work(); });
      (void)pthread_setname_np(threads_.back().native_handle(), "query-helper");
    }
    idle_ = size_;
  }
  if (idle_ == 0 || stopping_) return false;
  --idle_;
  tasks_.push_back(std::move(task));
  changed_.NotifyOne();
  return true;
}

void HelperPool::Work() {
  while (true) {
    std::function<void()> task;
    {
      MutexLock lock(mu_);
      while (tasks_.empty() && !stopping_) changed_.Wait(mu_);
      // A task that was taken in is run: somebody waits for its end.
      if (tasks_.empty()) return;
      task = std::move(tasks_.back());
      tasks_.pop_back();
    }
    task();
    MutexLock lock(mu_);
    ++idle_;
  }
}

}  // namespace vedette::promql
