#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/status.h"
#include "common/model/labels.h"
#include "common/model/metric_family.h"
#include "server/storage/appender.h"

namespace vedette::push {

// The series of one pushed group in the storage: its values are committed as they stand, again and
// again, as if somebody scraped them, and a series that is pushed no more gets its stale marker.
// Not thread-safe.
class GroupSeries {
 public:
  // `owner` is charged for the series: the group's job. The appender outlives this.
  GroupSeries(storage::Appender& appender, std::string owner);

  // One row of everything in `families` at `t_ms`, which is moved on where a row of this group is
  // there already.
  Result<storage::CommitStats> Commit(int64_t t_ms,
                                      const std::vector<const MetricFamily*>& families);
  // The group is gone: a stale marker for every series.
  Status End(int64_t t_ms);

 private:
  Status StartOver();

  storage::Appender& appender_;
  const std::string owner_;
  std::unique_ptr<storage::TimelineWriter> writer_;
  std::unordered_map<Labels, uint32_t, LabelsHash> positions_;
  std::vector<double> column_;
  std::vector<bool> live_;
  int64_t last_ms_ = 0;
};

}  // namespace vedette::push
