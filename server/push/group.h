#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/model/labels.h"
#include "common/model/metric_family.h"

namespace vedette::push {

// What was pushed under one grouping key, and when. Published whole, never changed.
struct Group {
  Labels key;                // The grouping labels, job among them.
  int64_t pushed_ms = 0;     // The last push that was taken; 0: none yet.
  int64_t failed_ms = 0;     // The last one that was refused; 0: none.
  int64_t ttl_ms = 0;        // The group ends so long after its last push; 0: never.
  bool last_push_ok = true;  // Which of the two came later.
  // By name; every sample carries the grouping labels. Without the two times above.
  std::vector<MetricFamily> families;

  bool ExpiredAt(int64_t now_ms) const { return ttl_ms > 0 && now_ms >= pushed_ms + ttl_ms; }
};

// push_time_seconds and push_failure_time_seconds, with the grouping labels.
std::vector<MetricFamily> PushTimes(const Group& group);
bool IsPushTimeName(std::string_view name);

// A group as it lies in the storage, and back. docs/formats/keys.md has the layout.
std::string GroupToBytes(const Group& group);
Result<Group> GroupFromBytes(std::string_view bytes);

}  // namespace vedette::push
