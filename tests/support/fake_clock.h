#pragma once

#include <atomic>
#include <cstdint>

#include "common/base/clock.h"

namespace vedette::testing {

// A clock that stands still until a test moves it. Both readings advance together; Set() jumps the
// wall clock alone, as a person or NTP would. Thread-safe.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(int64_t now_ms = 1'700'000'000'000) : now_ms_(now_ms) {}

  int64_t NowMs() const override { return now_ms_.load(); }
  int64_t MonotonicNs() const override { return monotonic_ns_.load(); }

  void Advance(int64_t ms) {
    now_ms_ += ms;
    monotonic_ns_ += ms * 1'000'000;
  }
  void Set(int64_t now_ms) { now_ms_ = now_ms; }

 private:
  std::atomic<int64_t> now_ms_;
  std::atomic<int64_t> monotonic_ns_{1};
};

}  // namespace vedette::testing
