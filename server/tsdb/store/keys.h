#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "server/tsdb/chunk/bytes.h"

namespace vedette::tsdb {

// The keys of every family; docs/formats/keys.md shows them as tables. Numbers are big-endian, so
// that RocksDB's order is time first, then metric, then series.

// Windows cut time into pieces of one length; the first of 1970 is 0. In keys they are shifted, so
// that those before 1970 sort before.
inline int32_t WindowOf(int64_t t_ms, int64_t window_ms) {
  return static_cast<int32_t>((t_ms >= 0 ? t_ms : t_ms - (window_ms - 1)) / window_ms);
}
inline uint32_t WindowBits(int32_t window) { return static_cast<uint32_t>(window) ^ 0x80000000u; }
inline int32_t WindowFromBits(uint32_t bits) { return static_cast<int32_t>(bits ^ 0x80000000u); }

inline std::string WindowPrefix(int32_t window) {
  std::string out;
  PutBigEndian32(out, WindowBits(window));
  return out;
}

// window | metric | series | last instant, from the start of the window | timeline.
struct ChunkKey {
  static constexpr size_t kBytes = 20;

  int32_t window = 0;
  uint32_t metric = 0;
  uint32_t series = 0;
  uint32_t last_offset = 0;
  uint32_t timeline = 0;

  std::string Bytes() const {
    std::string out;
    out.reserve(kBytes);
    PutBigEndian32(out, WindowBits(window));
    PutBigEndian32(out, metric);
    PutBigEndian32(out, series);
    PutBigEndian32(out, last_offset);
    PutBigEndian32(out, timeline);
    return out;
  }
  // Requires kBytes.
  static ChunkKey From(std::string_view bytes) {
    const char* p = bytes.data();
    return {WindowFromBits(GetBigEndian32(p)), GetBigEndian32(p + 4), GetBigEndian32(p + 8),
            GetBigEndian32(p + 12), GetBigEndian32(p + 16)};
  }
  bool SameSeries(const ChunkKey& other) const {
    return window == other.window && metric == other.metric && series == other.series;
  }
};

// The beginning of every key of a series in a window, of chunks and of histograms.
inline std::string SeriesPrefix(int32_t window, uint32_t metric, uint32_t series) {
  std::string out;
  PutBigEndian32(out, WindowBits(window));
  PutBigEndian32(out, metric);
  PutBigEndian32(out, series);
  return out;
}

// window | metric | series | instant, from the start of the window.
inline std::string HistogramKey(int32_t window, uint32_t metric, uint32_t series, uint32_t offset) {
  std::string out;
  PutBigEndian32(out, WindowBits(window));
  PutBigEndian32(out, metric);
  PutBigEndian32(out, series);
  PutBigEndian32(out, offset);
  return out;
}

// resolution in seconds | window | metric | series.
inline std::string RollupPrefix(int64_t resolution_ms) {
  std::string out;
  PutBigEndian32(out, static_cast<uint32_t>(resolution_ms / 1000));
  return out;
}
inline std::string RollupPrefix(int64_t resolution_ms, int32_t window) {
  return RollupPrefix(resolution_ms) + WindowPrefix(window);
}
inline constexpr size_t kRollupKeyBytes = 16;
inline std::string RollupKey(int64_t resolution_ms, int32_t window, uint32_t metric,
                             uint32_t series) {
  return RollupPrefix(resolution_ms) + SeriesPrefix(window, metric, series);
}

inline std::string InstantsKey(int32_t window, uint32_t id) {
  std::string out;
  PutBigEndian32(out, WindowBits(window));
  PutBigEndian32(out, id);
  return out;
}

// In kMeta, and then the window: it is being dropped, and not gone yet.
inline constexpr std::string_view kDroppingPrefix = "dropping/";

// A journal of series; and one that stands for it and those behind it, without what was given up,
// which sorts in its place.
inline std::string JournalKey(uint64_t sequence) {
  std::string out;
  PutBigEndian32(out, static_cast<uint32_t>(sequence >> 32));
  PutBigEndian32(out, static_cast<uint32_t>(sequence));
  return out;
}
inline constexpr char kThinnedMark = 2;
inline constexpr size_t kJournalKeyBytes = 8;
inline std::string ThinnedKey(uint64_t sequence) { return JournalKey(sequence) + kThinnedMark; }
inline bool IsThinnedKey(std::string_view key) {
  return key.size() == kJournalKeyBytes + 1 && key.back() == kThinnedMark;
}
inline uint64_t JournalSequence(std::string_view key) {
  return static_cast<uint64_t>(GetBigEndian32(key.data())) << 32 | GetBigEndian32(key.data() + 4);
}

// The log: timeline | kind | slot.
enum class HeadKind : uint8_t { kState = 0, kLayout = 1, kBlock = 2, kRow = 3 };

inline std::string HeadKey(uint32_t timeline, HeadKind kind, uint32_t slot) {
  std::string out;
  PutBigEndian32(out, timeline);
  out.push_back(static_cast<char>(kind));
  PutBigEndian32(out, slot);
  return out;
}

}  // namespace vedette::tsdb
