#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace vedette::remote {

// One chunk of samples in Prometheus' XOR encoding (tsdb/docs/format/chunks.md; after Gorilla,
// Pelkonen et al., VLDB 2015): a count of two bytes, then instants as differences of differences
// and values as the bits that changed. What streamed remote read sends. 1 to 65,535 samples,
// ascending in time.
std::string EncodeXorChunk(std::span<const int64_t> t_ms, std::span<const double> values);

// CRC-32C (Castagnoli), which frames of streamed remote read carry.
uint32_t Crc32c(std::string_view bytes);

}  // namespace vedette::remote
