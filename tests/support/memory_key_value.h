#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/base/mutex.h"
#include "server/storage/key_value.h"

namespace vedette::testing {

// A KeyValue that forgets when it is gone. A test that "restarts" keeps it and makes the rest anew.
// Thread-safe.
class MemoryKeyValue final : public storage::KeyValue {
 public:
  Result<std::optional<std::string>> Get(std::string_view key) const override {
    MutexLock lock(mu_);
    auto it = pairs_.find(key);
    if (it == pairs_.end()) return std::optional<std::string>();
    return std::optional<std::string>(it->second);
  }

  Status Apply(std::span<const Change> changes, bool) override {
    MutexLock lock(mu_);
    if (failing_) return Unavailable("the disk is full");
    for (const Change& c : changes) {
      if (c.value) {
        pairs_[c.key] = *c.value;
      } else {
        pairs_.erase(c.key);
      }
    }
    return Status();
  }

  Status Scan(std::string_view prefix,
              const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    std::map<std::string, std::string, std::less<>> copy;
    {
      MutexLock lock(mu_);
      copy = pairs_;
    }
    for (auto it = copy.lower_bound(prefix); it != copy.end() && it->first.starts_with(prefix);
         ++it) {
      if (!visit(it->first, it->second)) break;
    }
    return Status();
  }

  void FailWrites(bool failing) {
    MutexLock lock(mu_);
    failing_ = failing;
  }

 private:
  mutable Mutex mu_;
  std::map<std::string, std::string, std::less<>> pairs_ VEDETTE_GUARDED_BY(mu_);
  bool failing_ VEDETTE_GUARDED_BY(mu_) = false;
};

}  // namespace vedette::testing
