#pragma once

#include <cstddef>

#include "common/base/mutex.h"

namespace vedette::tsdb {

// UseGate keeps those apart who look a series up and then give it samples, and the one who gives up
// series that have none: between the two steps a series looks as if nobody wanted it. Any number
// pass at once; the other waits for them, and they for it. Thread-safe.
class UseGate {
 public:
  // Held from the look-up until what was found is known to have samples. Not twice by one thread.
  class Use {
   public:
    explicit Use(UseGate& gate) : gate_(gate) {
      MutexLock lock(gate_.mu_);
      while (gate_.paused_) gate_.changed_.Wait(gate_.mu_);
      ++gate_.uses_;
    }
    ~Use() {
      MutexLock lock(gate_.mu_);
      if (--gate_.uses_ == 0 && gate_.paused_) gate_.changed_.NotifyAll();
    }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    UseGate& gate_;
  };

  // Held while series are given up. One at a time.
  class Pause {
   public:
    explicit Pause(UseGate& gate) : gate_(gate) {
      MutexLock lock(gate_.mu_);
      gate_.paused_ = true;
      while (gate_.uses_ > 0) gate_.changed_.Wait(gate_.mu_);
    }
    ~Pause() {
      MutexLock lock(gate_.mu_);
      gate_.paused_ = false;
      gate_.changed_.NotifyAll();
    }
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;

   private:
    UseGate& gate_;
  };

 private:
  Mutex mu_;
  CondVar changed_;
  size_t uses_ VEDETTE_GUARDED_BY(mu_) = 0;
  bool paused_ VEDETTE_GUARDED_BY(mu_) = false;
};

}  // namespace vedette::tsdb
