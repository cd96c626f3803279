#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/model/labels.h"
#include "server/promql/functions/column.h"
#include "server/promql/parser/ast.h"
#include "server/storage/queryable.h"

namespace vedette::promql {

// The instants a selector is asked for: with offset and @ already in them.
struct RefGrid {
  int64_t first_ms = 0;
  int64_t step_ms = 0;  // 0 under @: the same instant at every step.
  int64_t steps = 1;

  RefGrid(const Grid& grid, const TimeShift& shift)
      : first_ms((shift.at == TimeShift::At::kNone ? grid.start_ms : shift.at_ms) -
                 shift.offset_ms),
        step_ms(shift.at == TimeShift::At::kNone ? grid.step_ms : 0),
        steps(grid.steps) {}
  int64_t At(int64_t i) const { return first_ms + i * step_ms; }
  int64_t last_ms() const { return At(steps - 1); }
};

// Samples [lo, hi) of a series belong to one step.
struct Window {
  uint32_t lo = 0;
  uint32_t hi = 0;
};

// Windows (ref - range, ref] of all steps. Linear in samples + steps.
void WindowsOf(std::span<const int64_t> t_ms, const RefGrid& refs, int64_t range_ms,
               std::vector<Window>& out);

// One series with everything a range function needs to know of it. Valid during the call.
struct RangeSeries {
  const Labels& labels;
  bool drop_name = false;
  std::span<const int64_t> t_ms;  // Without stale markers.
  std::span<const double> values;
  std::span<const HistogramPtr> histograms;  // Empty, or as long as t_ms.
  std::span<const Window> windows;           // One a step.
  std::span<const int64_t> start_ms;  // Empty, or as long as t_ms: start timestamps; 0 is unknown.
  // Empty, or as long as t_ms: stretches of samples in their place. Only for RangeKernel::TakesRolled.
  std::span<const storage::RolledUp> rolled;
};

}  // namespace vedette::promql
