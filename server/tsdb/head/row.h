#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "server/tsdb/chunk/bytes.h"

namespace vedette::tsdb {

// One instant of a timeline while it is young. Never changed once a reader can see it.
struct OpenRow {
  int64_t t_ms = 0;
  std::vector<double> values;  // By position; shorter than the layout: the rest is absent.

  double at(size_t position) const;
};

// The values of a row against those of the row before, as the log keeps them: a bit per value says
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
