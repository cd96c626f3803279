#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "server/storage/queryable.h"

namespace vedette::tsdb {

// A roll-up at rest is what a window's samples of one series come to, a stretch of time after the
// other, each of at most one resolution: storage::RolledUp, in columns.
//
//   flags u8 | stretches varint | first instant zigzag | integers (gaps from a stretch's last instant
//   to the next one's first) | integers (last - first) | integers (counts) | columns: first, last,
//   sum, and min, max, lost unless their flag is set | xxh3 u32
//
// Flags: 1, every minimum is the first value; 2, every maximum is the last one; 4, nothing was lost
// by resets. All three are so for a counter that was not reset.
// docs/formats/rollup.md shows every byte.

// Ends of stretches are the multiples of `resolution_ms`: a sample at t belongs to the stretch that
// ends at the first multiple not before t, as the windows of PromQL are open on the left. Holes and
// stale markers are no samples. False where the sum of a stretch is more than a double holds.
bool RollUp(std::span<const int64_t> t_ms, std::span<const double> values, int64_t resolution_ms,
            std::vector<storage::RolledUp>& out);

// Requires at least one stretch.
std::string EncodeRollup(std::span<const storage::RolledUp> stretches);
// Whatever is wrong with the bytes is kDataLoss.
Status DecodeRollup(std::string_view bytes, std::vector<storage::RolledUp>& stretches);

}  // namespace vedette::tsdb
