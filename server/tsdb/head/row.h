#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/model/sample.h"
#include "server/tsdb/chunk/bytes.h"

namespace vedette::tsdb {

// One instant of a timeline while it is young. Never changed once a reader can see it.
//
// Most values of a target stand still: all rows but the first and the last of a timeline are kept as
// what they have otherwise than the first, which is an eighth of the memory on a busy host.
struct OpenRow {
  // What a row has otherwise than one that is whole.
  struct Thin {
    std::shared_ptr<const OpenRow> base;
    size_t size = 0;               // Of the row.
    std::vector<uint64_t> map;     // A bit per position: its value is another.
    std::vector<uint32_t> before;  // By word of the map: bits set before it.
    std::vector<double> changed;
  };

  int64_t t_ms = 0;
  // By position; shorter than the layout: the rest is absent. Empty of a row that is thin.
  std::vector<double> values;
  std::shared_ptr<const Thin> thin;

  double at(size_t position) const {
    if (thin != nullptr) return InThin(position);
    return position < values.size() ? values[position] : kAbsent;
  }
  size_t size() const { return thin != nullptr ? thin->size : values.size(); }
  size_t bytes() const;  // That are its own.

  // The row again, whole.
  std::shared_ptr<OpenRow> Whole() const;
  // The row, which is whole, against another that is. Null where that would not be half as large.
  std::shared_ptr<const OpenRow> Against(const std::shared_ptr<const OpenRow>& base) const;

 private:
  double InThin(size_t position) const;
};

// The values of a row against those of the row before, which is whole, as the log keeps them: a bit per value says
// whether it changed, four bits how (an integer difference, an XOR, gone), then its bytes. About
// 1.6 bytes a sample on a busy host, at 2 to 4 ns. docs/formats/wal.md.
void EncodeRowValues(std::span<const double> values, const OpenRow* before, std::string& out);
bool DecodeRowValues(ByteReader& in, const OpenRow* before, std::vector<double>& values);

// Rows of a timeline, transposed and compressed: one column per position, cut from each other so
// that a reader of one series decodes nothing else. The bytes are also what is on disk.
//
// Immutable; thread-safe.
class Block {
 public:
  static std::shared_ptr<const Block> Make(uint64_t epoch, size_t positions,
                                           std::span<const std::shared_ptr<const OpenRow>> rows);
  static Result<std::shared_ptr<const Block>> FromBytes(std::string bytes);

  uint64_t epoch() const { return epoch_; }
  const std::vector<int64_t>& instants() const { return instants_; }
  size_t positions() const { return positions_; }
  const std::string& bytes() const { return bytes_; }
  // `out` is as long as instants(). Absent where the layout was shorter then. False: damaged.
  bool Decode(size_t position, std::span<double> out) const;
  // Adds the bytes of each position's column to `by_position`, which is as long as positions() or
  // longer.
  void AddColumnBytes(std::span<uint64_t> by_position) const;

 private:
  Status Parse();

  std::string bytes_;
  uint64_t epoch_ = 0;
  size_t positions_ = 0;
  std::vector<int64_t> instants_;
  size_t lengths_at_ = 0;            // One byte a position.
  std::vector<uint32_t> column_at_;  // Of every 32nd position.
};

}  // namespace vedette::tsdb
