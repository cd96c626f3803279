#pragma once

#include <cstdint>
#include <span>

// What start timestamps say about resets of counters. A sample's start timestamp is since when it
// counts; 0 is unknown, and one that is not before its sample says nothing.
namespace vedette::promql {

enum class StartTurn : uint8_t {
  kNone,
  kReset,    // The sample counts from after the one before: a reset, even where the value rose.
  kOverlap,  // It counts anew from within what the one before covers: somebody counts twice.
};

// Between two samples of one series.
inline StartTurn TurnBetween(int64_t before_t_ms, int64_t before_start_ms, int64_t t_ms,
                             int64_t start_ms) {
  if (start_ms == 0 || start_ms >= t_ms) return StartTurn::kNone;
  if (start_ms > before_t_ms) return StartTurn::kReset;
  if (start_ms < before_t_ms) {
    return start_ms != before_start_ms ? StartTurn::kOverlap : StartTurn::kNone;
  }
  // The instant of the sample before as the start: a delta's next stretch, or a counter whose true
  // start nobody knows and whose first sample stands for it. Only the former's sample before has
  // a start of its own.
  const bool before_known = before_start_ms != 0 && before_start_ms < before_t_ms;
  return before_known ? StartTurn::kReset : StartTurn::kNone;
}

// Whether the first sample of a range counts from inside the range: then all it shows happened
// there, and there is nothing to extrapolate to the left.
inline bool StartsInside(int64_t t_ms, int64_t start_ms, int64_t range_start_ms) {
  return start_ms != 0 && start_ms < t_ms && start_ms > range_start_ms;
}

}  // namespace vedette::promql
