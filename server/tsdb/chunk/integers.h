#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "server/tsdb/chunk/bytes.h"

namespace vedette::tsdb {

// Columns of 64-bit integers, in the smallest of a few forms. First a transform takes out what
// repeats (nothing, the difference to the value before, the difference of differences), then a
// common divisor, then the rest is packed:
//   - equal: every value is the base;
//   - packed: offsets from the base, each of `width` bits, larger ones patched (PFOR);
//   - sparse: mostly the base; a bitmap, or packed gaps, say where the others are.
// docs/formats/chunk.md has the bytes. Arithmetic wraps, so every input survives.
//
// Encoding costs about 10 ns a value, decoding 1 to 2.
void EncodeIntegers(std::span<const int64_t> values, std::string& out);

// Fills `out`, whose size the caller knows. False where the bytes do not hold as many. What lies
// before `from`, at most out.size(), is left undefined and costs a third or less.
bool DecodeIntegers(ByteReader& in, std::span<int64_t> out, size_t from = 0);

}  // namespace vedette::tsdb
