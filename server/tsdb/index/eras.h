#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "common/base/mutex.h"

namespace vedette::tsdb {

// Eras tell when nobody is left of those who began before a moment: a query holds the era it began
// in, and what was given up at the end of one is freed once nobody holds it any more. Thread-safe.
class Eras {
 public:
  std::shared_ptr<const void> Hold() const {
    MutexLock lock(mu_);
    return now_;
  }
  // From now on it is another era.
  void End() {
    MutexLock lock(mu_);
    before_.emplace_back(now_);
    now_ = std::make_shared<const char>();
  }
  // Whether nobody holds one that has ended.
  bool AllOver() {
    MutexLock lock(mu_);
    std::erase_if(before_, [](const auto& era) { return era.expired(); });
    return before_.empty();
  }

 private:
  mutable Mutex mu_;
  std::shared_ptr<const void> now_ VEDETTE_GUARDED_BY(mu_) = std::make_shared<const char>();
  std::vector<std::weak_ptr<const void>> before_ VEDETTE_GUARDED_BY(mu_);
};

}  // namespace vedette::tsdb
