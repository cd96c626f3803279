#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/model/histogram.h"
#include "common/model/labels.h"

namespace vedette::promql {

// One value of a series line: nothing ("_"), a float (stale markers too), or a histogram.
struct ScriptValue {
  bool absent = false;
  double value = 0;
  std::shared_ptr<const Histogram> histogram;
  bool hint_given = false;  // The literal named a counter_reset_hint.
};

// metric{label="value"} 1 2+3x4 _x2 stale {{schema:0 count:3 ...}}+{{...}}x5
struct ScriptSeries {
  Labels labels;
  bool start_timestamps = false;  // "@st" after the name: the line gives start timestamps.
  std::vector<ScriptValue> values;
  // With start_timestamps, instead of values: milliseconds from the sample of the same place to its
  // start; nothing where none is given.
  std::vector<std::optional<int64_t>> starts;
};

Result<ScriptSeries> ParseSeriesLine(std::string_view line);
Result<Labels> ParseSeriesLabels(std::string_view text);

}  // namespace vedette::promql
