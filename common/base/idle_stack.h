#pragma once

#include <cstddef>
#include <vector>

#include "common/base/mutex.h"

namespace vedette {

// IdleStack is where the threads of a pool wait for work: the one that has worked last is woken
// first. Its buffers and caches are warm, where a queue of waiters would hand each task to the
// thread that has slept longest, and have all of them fill buffers of their own. And they are woken
// one after the other, each by the one before: where tasks come in bursts and there are more of them
// than cores, those at work have done most of them by the time that a crowd would have got up.
//
//   MutexLock lock(mu);
//   tasks.push_back(task);
//   idle.WakeOne();                              // And in a worker:
//   while (tasks.empty()) idle.Wait(mu);
//   take(tasks.front());
//   if (!tasks.empty()) idle.WakeOne();
//
// Guarded by the mutex that Wait is given: it is held at every call.
class IdleStack {
 public:
  // Until this thread is woken; not before.
  void Wait(Mutex& mu) VEDETTE_REQUIRES(mu) {
    Sleeper self;
    sleepers_.push_back(&self);
    while (self.asleep) self.woken.Wait(mu);
    --rising_;
  }
  // Nobody waits: nothing happens, as whoever is at work looks for more afterwards. One that was
  // woken has not got up yet: nothing either, as it wakes the next.
  void WakeOne() {
    if (rising_ == 0 && !sleepers_.empty()) Wake();
  }
  void WakeAll() {
    while (!sleepers_.empty()) Wake();
  }

 private:
  void Wake() {
    Sleeper& last = *sleepers_.back();
    sleepers_.pop_back();
    last.asleep = false;
    ++rising_;
    last.woken.NotifyOne();
  }

  struct Sleeper {
    CondVar woken;
    bool asleep = true;
  };
  std::vector<Sleeper*> sleepers_;  // On the stacks of those who wait.
  size_t rising_ = 0;               // Woken, and not yet at work.
};

}  // namespace vedette
