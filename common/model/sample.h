#pragma once

#include <bit>
#include <cstdint>

namespace vedette {

// One measurement: a value and the moment it was true, in milliseconds since the Unix epoch.
struct Sample {
  int64_t t_ms = 0;
  double value = 0;

  bool operator==(const Sample&) const = default;
};

// Two NaNs with a meaning of their own. NaN is unequal to itself, so bits are compared, not values.

// Prometheus' stale marker: the series ended here. Stored and sent like any other value.
inline constexpr uint64_t kStaleNanBits = 0x7ff0000000000002;
// What Prometheus calls the normal NaN: the one that a query answers with.
inline constexpr uint64_t kNormalNanBits = 0x7ff8000000000001;
// A hole in a column: at this instant the series was not sampled at all. Lives inside columns on
// their way in (wire, log, head); never shown to a reader.
inline constexpr uint64_t kAbsentNanBits = 0x7ff0000000000003;

inline constexpr double kStaleNan = std::bit_cast<double>(kStaleNanBits);
inline constexpr double kNormalNan = std::bit_cast<double>(kNormalNanBits);
inline constexpr double kAbsent = std::bit_cast<double>(kAbsentNanBits);

inline bool IsStale(double v) { return std::bit_cast<uint64_t>(v) == kStaleNanBits; }
inline bool IsAbsent(double v) { return std::bit_cast<uint64_t>(v) == kAbsentNanBits; }

}  // namespace vedette
