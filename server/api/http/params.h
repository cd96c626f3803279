#pragma once

#include <cstdint>
#include <string_view>

#include "common/base/status.h"

namespace vedette::api {

// What Prometheus' API takes in query parameters.

// Unix seconds ("1435781451.781") or RFC 3339 ("2026-11-21T02:51:10.5+01:00"), in milliseconds.
Result<int64_t> ParseTime(std::string_view text);

// Seconds as a decimal ("15", "0.5") or a PromQL duration ("1m30s"), in milliseconds.
Result<int64_t> ParseDurationParam(std::string_view text);

// The furthest times that the API knows: what "as far back as there is" and "to the end" mean.
inline constexpr int64_t kMinTimeMs = -9'007'199'254'740'992;
inline constexpr int64_t kMaxTimeMs = 9'007'199'254'740'992;

}  // namespace vedette::api
