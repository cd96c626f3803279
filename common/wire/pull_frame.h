#pragma once

#include <cstddef>
#include <cstdint>

// What encoder and decoder of pull frames agree on, beside docs/formats/pull.md.
namespace vedette::wire::pull {

// Frame flags.
inline constexpr uint8_t kStart = 1;  // The first of a stream: nothing came before.
inline constexpr uint8_t kRun = 2;    // run_id follows.

// Source flags.
inline constexpr uint64_t kUp = 1 << 0;
inline constexpr uint64_t kLayoutReset = 1 << 1;
inline constexpr uint64_t kStateChanged = 1 << 2;
inline constexpr uint64_t kFamilies = 1 << 3;
inline constexpr uint64_t kAdded = 1 << 4;
inline constexpr uint64_t kHistograms = 1 << 5;
inline constexpr uint64_t kExemplars = 1 << 6;
inline constexpr uint64_t kTimes = 1 << 7;
inline constexpr uint64_t kStarts = 1 << 8;
inline constexpr uint64_t kAllFlags = (1 << 9) - 1;

inline constexpr size_t kMaxSources = 4096;
inline constexpr size_t kChecksumBytes = 4;

}  // namespace vedette::wire::pull
