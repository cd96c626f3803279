#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/model/labels.h"
#include "common/model/metric_family.h"

namespace vedette::scrape {

// StartLines knows which lines of an OpenMetrics body are about the same count: a _created line says
// since when the _total, _count, _sum and _bucket lines with its name and labels count. In a body
// they may stand before it or after it.
//
//   switch (lines.Note(key, labels, type)) ...   // Once for every line that is new.
//   lines.Begin();
//   lines.Created(key, seconds);                  // For each _created line of the body.
//   lines.End([&](uint32_t key, int64_t start_ms) { ... });
//
// Lines are known by the numbers that LayoutCache gives them. Not thread-safe.
class StartLines {
 public:
  enum class Kind : uint8_t { kNone, kCounts, kCreated };

  // `exposed`: with its name. A line may be noted again.
  Kind Note(uint32_t key, const Labels& exposed, MetricType type);

  void Begin();
  void Created(uint32_t key, double seconds);
  // Tells every line that counts since when: 0 where the body did not say.
  void End(const std::function<void(uint32_t key, int64_t start_ms)>& tell) const;

 private:
  struct Group {
    int64_t start_ms = 0;
    std::vector<uint32_t> lines;
  };

  std::vector<Group> groups_;
  std::unordered_map<uint64_t, uint32_t> group_of_;  // By hash of name and labels.
  std::unordered_map<uint32_t, uint32_t> group_of_line_;
};

}  // namespace vedette::scrape
