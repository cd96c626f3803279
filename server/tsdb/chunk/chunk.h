#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace vedette::tsdb {

// A sealed chunk is the value column of one series over the instants of a timeline, which it names
// by id: the instants themselves are stored once for all series that share them.
//
//   flags u8 | count varint | instants id varint | span varint (last - first, ms) | column | xxh3
//   u32
//
// The checksum is the low half of XXH3 over all that is before it. Whatever is wrong with the bytes
// is kDataLoss; a wrong value is never given.
struct ChunkHeader {
  bool has_stale = false;
  bool has_holes = false;  // Positions without a sample.
  uint32_t count = 0;      // Of positions, absent ones among them.
  uint32_t instants_id = 0;
  int64_t span_ms = 0;
  size_t column_at = 0;  // Where the column begins.
};

// `values` has one value per instant, kAbsent where the series has no sample.
std::string EncodeChunk(uint32_t instants_id, int64_t span_ms, std::span<const double> values);

// Without a look at the column or the checksum.
Result<ChunkHeader> ReadChunkHeader(std::string_view bytes);
// `values` is made as long as the chunk's count.
Result<ChunkHeader> DecodeChunk(std::string_view bytes, std::vector<double>& values);
// The same in two steps, for those who look at the header first. The checksum; and the values, into
// as many as the header counts: what lies before `from` is undefined.
Status CheckChunk(std::string_view bytes);
Status DecodeChunkValues(std::string_view bytes, const ChunkHeader& header, std::span<double> out,
                         size_t from);

// Longer columns than this are not written, and not believed when read.
inline constexpr uint32_t kMaxChunkValues = 1 << 16;

// Instants: ascending milliseconds, no two equal.
//
//   count varint | first varint zigzag | integers (the differences) | xxh3 u32
std::string EncodeInstants(std::span<const int64_t> instants);
Status DecodeInstants(std::string_view bytes, std::vector<int64_t>& instants);

// XXH3 of bytes, as the checksums use it.
uint32_t Checksum(std::string_view bytes);

}  // namespace vedette::tsdb
