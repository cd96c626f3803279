#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "server/tsdb/chunk/bytes.h"

namespace vedette::tsdb {

// A column of doubles in the smallest form found, bit for bit: NaN payloads, holes (kAbsent) and
// negative zero come back as they went in. Tried in this order:
//   - constant;
//   - decimal: value * 10^e is an integer for a common e, as in the ALP paper (Afroozeh, Kuffó,
//     Boncz 2023); the integers go through EncodeIntegers, what does not fit is patched. Decoding
//     divides by 10^e, which gives the double nearest to the decimal: what a parser of text gave;
//   - XOR with the value before, as in the Gorilla paper, by bytes;
//   - the eight bytes of each.
// Holes are taken out first and kept as run lengths.
//
// The number of values is not in the bytes: whoever holds the column knows it.
void EncodeColumn(std::span<const double> values, std::string& out);

// Fills `out`. False where the bytes do not hold as many. What lies before `from` is left
// undefined: most readers want the end of a column, and half of the work is making doubles.
bool DecodeColumn(ByteReader& in, std::span<double> out, size_t from = 0);

// Whether the bytes of a column, of which there is at least one, say that it has holes.
bool ColumnHasHoles(std::string_view bytes);

}  // namespace vedette::tsdb
