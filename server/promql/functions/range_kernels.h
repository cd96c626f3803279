#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "server/promql/functions/annotations.h"
#include "server/promql/functions/column.h"
#include "server/promql/functions/selection.h"
#include "server/promql/parser/function_table.h"

namespace vedette::promql {

// RangeKernel is one range function over one series after the other: for every step it reads the
// samples of the step's window and writes one value. A series of floats alone runs over plain
// spans of doubles; one with histograms takes the slow way, window by window. Nothing is allocated
// per sample on the fast way.
struct RangeKernel {
  FunctionId function = FunctionId::kRate;
  PosRange pos;            // Of the range.
  PosRange parameter_pos;  // Of the scalar argument.
  Annotations* notes = nullptr;
  Grid grid;
  const RefGrid* refs = nullptr;
  int64_t range_ms = 0;
  int64_t lookback_ms = 0;
  bool anchored = false;
  bool smoothed = false;
  std::vector<double> a;  // The scalar arguments, one a step.
  std::vector<double> b;
  bool saw_floats = false;  // The last series gave a float somewhere.

  // Told now and then how many samples were looked at; false ends the work early. Null: never.
  std::function<bool(uint64_t samples)> go_on;

  void Run(const RangeSeries& r, Column& out);

  // Whether all that the function asks of a window is in its stretches: rate, increase, delta, and
  // the count, sum, avg, min, max, first, last and present of over_time.
  static bool TakesRolled(std::string_view function);

 private:
  bool GoOn(uint64_t samples) {
    work_ += samples;
    if (work_ < 100'000 || go_on == nullptr) return true;
    const uint64_t done = work_;
    work_ = 0;
    return go_on(done);
  }
  // rate, increase, irate and resets with start timestamps.
  void RunFloatsFromStarts(const RangeSeries& r, Column& out);
  void RunFloats(const RangeSeries& r, Column& out);
  void RunRolled(const RangeSeries& r, Column& out);
  void RunMixed(const RangeSeries& r, Column& out);
  void RunExtended(const RangeSeries& r, Column& out);
  std::vector<double> scratch_;
  uint64_t work_ = 0;
};

// Whether start timestamps that overlap are spoken of: those that add up what lies between them.
inline bool SaysOverlaps(FunctionId function) {
  return function == FunctionId::kRate || function == FunctionId::kIncrease;
}

// rate, increase and delta over one window: (t, v) are its samples, two or more.
double ExtrapolatedChange(std::span<const int64_t> t_ms, std::span<const double> values,
                          int64_t range_start_ms, int64_t range_end_ms, bool is_counter,
                          bool is_rate);

}  // namespace vedette::promql
