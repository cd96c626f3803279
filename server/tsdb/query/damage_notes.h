#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "server/tsdb/head/head.h"

namespace vedette::tsdb {

// What one reader could not read: counted for the storage, and said to whoever asked. One thread.
class DamageNotes {
 public:
  explicit DamageNotes(HeadCounters& counters) : counters_(counters) {}

  void Add(const Status& s) {
    ++count_;
    ++counters_.damaged;
    if (first_.empty()) first_ = s.ToString();
  }
  std::vector<std::string> warnings() const {
    if (count_ == 0) return {};
    return {StrCat(count_, " damaged chunks were left out",
                   first_.empty() ? "" : ", the first: ", first_)};
  }

 private:
  HeadCounters& counters_;
  uint64_t count_ = 0;
  std::string first_;
};

}  // namespace vedette::tsdb
