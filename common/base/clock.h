#pragma once

#include <cstdint>

namespace vedette {

// Clock is where every component gets the time from, so that a test can move it by hand.
// Implementations are thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;

  // Wall time in milliseconds since the Unix epoch. May jump when someone sets the clock.
  virtual int64_t NowMs() const = 0;

  // Nanoseconds of a clock that never jumps; only differences mean anything.
  virtual int64_t MonotonicNs() const = 0;
};

// The machine's own clocks. Lives as long as the process.
const Clock& SystemClock();

}  // namespace vedette
