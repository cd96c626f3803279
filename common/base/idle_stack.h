#pragma once

#include <vector>

#include "common/base/mutex.h"

namespace vedette {

// IdleStack is where the threads of a pool wait for work: the one that has worked last is woken
// first. Its buffers and caches are warm, where a queue of waiters would hand each task to the
// thread that has slept longest, and have all of them fill buffers of their own.
//
//   MutexLock lock(mu);
//   tasks.push_back(task);
//   idle.WakeOne();                              // And in a worker:
//   while (tasks.empty()) idle.Wait(mu);
//
// Guarded by the mutex that Wait is given: it is held at every call.
class IdleStack {
 public:
  // Until this thread is woken; not before.
  void Wait(Mutex& mu) VEDETTE_REQUIRES(mu) {
    Sleeper self;
    sleepers_.push_back(&self);
    while (self.asleep) self.woken.Wait(mu);
  }
  // Nobody waits: nothing happens, as whoever is at work looks for more afterwards.
  void WakeOne() {
    if (sleepers_.empty()) return;
    Sleeper& last = *sleepers_.back();
    sleepers_.pop_back();
    last.asleep = false;
    last.woken.NotifyOne();
  }
  void WakeAll() {
    while (!sleepers_.empty()) WakeOne();
  }

 private:
  struct Sleeper {
    CondVar woken;
    bool asleep = true;
  };
  std::vector<Sleeper*> sleepers_;  // On the stacks of those who wait.
};

}  // namespace vedette
