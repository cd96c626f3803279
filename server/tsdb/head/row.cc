#include "server/tsdb/head/row.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "common/base/strings.h"
#include "common/model/sample.h"
#include "server/tsdb/chunk/chunk.h"
#include "server/tsdb/chunk/column.h"
#include "server/tsdb/chunk/integers.h"

namespace vedette::tsdb {
namespace {

constexpr uint8_t kGone = 7;      // 0..6: an integer difference of 1..7 bytes.
constexpr uint8_t kXorFirst = 8;  // 8..15: the upper 1..8 bytes of an XOR.
constexpr double kMaxExact = 9007199254740992.0;
constexpr size_t kStride = 32;
constexpr size_t kMaxRows = 255;
constexpr uint8_t kLongColumn = 255;

bool ToInteger(double v, int64_t& out) {
  if (!(v > -kMaxExact && v < kMaxExact)) return false;
  out = static_cast<int64_t>(v);
  return std::bit_cast<uint64_t>(static_cast<double>(out)) == std::bit_cast<uint64_t>(v);
}

// What a value is told against: holes count as 0.
uint64_t AsBefore(double before) {
  const uint64_t bits = std::bit_cast<uint64_t>(before);
  return bits == kAbsentNanBits ? 0 : bits;
}

uint64_t BeforeBits(const OpenRow* before, size_t i) {
  if (before == nullptr || i >= before->values.size()) return 0;
  return AsBefore(before->values[i]);
}

}  // namespace

double OpenRow::InThin(size_t position) const {
  const Thin& t = *thin;
  if (position >= t.size) return kAbsent;
  const uint64_t word = t.map[position / 64];
  const uint64_t bit = uint64_t{1} << position % 64;
  if ((word & bit) == 0) return t.base->at(position);
  return t.changed[t.before[position / 64] + static_cast<size_t>(std::popcount(word & (bit - 1)))];
}

size_t OpenRow::bytes() const {
  if (thin == nullptr) return sizeof(OpenRow) + values.size() * sizeof(double);
  return sizeof(OpenRow) + sizeof(Thin) + thin->changed.size() * sizeof(double) +
         thin->map.size() * (sizeof(uint64_t) + sizeof(uint32_t));
}

std::shared_ptr<OpenRow> OpenRow::Whole() const {
  auto row = std::make_shared<OpenRow>();
  row->t_ms = t_ms;
  row->values.resize(size());
  for (size_t p = 0; p < row->values.size(); ++p) row->values[p] = at(p);
  return row;
}

std::shared_ptr<const OpenRow> OpenRow::Against(
    const std::shared_ptr<const OpenRow>& base) const {
  constexpr size_t kLeast = 64;  // Of fewer there is little to gain.
  const size_t n = values.size();
  if (n < kLeast) return nullptr;
  thread_local std::vector<uint64_t> map;
  map.assign((n + 63) / 64, 0);
  size_t changed = 0;
  for (size_t word = 0; word < map.size(); ++word) {
    const size_t begin = word * 64;
    const size_t end = std::min(begin + 64, n);
    uint64_t bits = 0;
    for (size_t p = begin; p < end; ++p) {
      const uint64_t old = p < base->values.size() ? std::bit_cast<uint64_t>(base->values[p])
                                                   : kAbsentNanBits;
      bits |= uint64_t{std::bit_cast<uint64_t>(values[p]) != old} << (p - begin);
    }
    map[word] = bits;
    changed += static_cast<size_t>(std::popcount(bits));
    // Where most of it moves that is soon seen, and costs next to nothing.
    if (changed > n / 2 || (end <= 2 * kLeast && changed > end / 4 * 3)) return nullptr;
  }
  auto differences = std::make_shared<Thin>();
  differences->base = base;
  differences->size = n;
  differences->map = map;
  differences->before.reserve(map.size());
  differences->changed.reserve(changed);
  for (size_t word = 0; word < map.size(); ++word) {
    differences->before.push_back(static_cast<uint32_t>(differences->changed.size()));
    for (uint64_t bits = map[word]; bits != 0; bits &= bits - 1) {
      const size_t p = word * 64 + static_cast<size_t>(std::countr_zero(bits));
      differences->changed.push_back(values[p]);
    }
  }
  auto row = std::make_shared<OpenRow>();
  row->t_ms = t_ms;
  row->thin = std::move(differences);
  return row;
}

void EncodeRowValues(std::span<const double> values, const OpenRow* before, std::string& out) {
  const size_t n = values.size();
  PutVarint(out, n);
  const size_t mask_at = out.size();
  out.resize(mask_at + (n + 7) / 8);
  thread_local std::vector<uint8_t> tags;
  thread_local std::vector<char> data;
  tags.clear();
  if (data.size() < n * 8 + 8) data.resize(n * 8 + 8);
  char* p = data.data();
  const size_t known = before == nullptr ? 0 : std::min(n, before->values.size());
  for (size_t begin = 0; begin < n; begin += 8) {
    // Most values stand still: eight of them are compared without a branch.
    const size_t end = std::min(begin + 8, n);
    std::array<uint64_t, 8> old;
    unsigned changed = 0;
    if (end <= known) {
      for (size_t i = begin; i < end; ++i) {
        old[i - begin] = AsBefore(before->values[i]);
        changed |= unsigned{std::bit_cast<uint64_t>(values[i]) != old[i - begin]} << (i - begin);
      }
    } else {
      for (size_t i = begin; i < end; ++i) {
        old[i - begin] = BeforeBits(before, i);
        changed |= unsigned{std::bit_cast<uint64_t>(values[i]) != old[i - begin]} << (i - begin);
      }
    }
    if (changed == 0) continue;
    out[mask_at + begin / 8] = static_cast<char>(changed);
    for (; changed != 0; changed &= changed - 1) {
      const size_t at = static_cast<size_t>(std::countr_zero(changed));
      const double value = values[begin + at];
      const uint64_t bits = std::bit_cast<uint64_t>(value);
      if (bits == kAbsentNanBits) {
        tags.push_back(kGone);
        continue;
      }
      int64_t a;
      int64_t b;
      if (ToInteger(value, a) && ToInteger(std::bit_cast<double>(old[at]), b)) {
        const uint64_t d = ZigZag(a - b);
        const size_t bytes = static_cast<size_t>(64 - std::countl_zero(d | 1) + 7) / 8;
        std::memcpy(p, &d, 8);
        p += bytes;
        tags.push_back(static_cast<uint8_t>(bytes - 1));
      } else {
        const uint64_t x = bits ^ old[at];
        const size_t bytes = 8 - static_cast<size_t>(std::countr_zero(x)) / 8;
        const uint64_t upper = x >> (64 - 8 * bytes);
        std::memcpy(p, &upper, 8);
        p += bytes;
        tags.push_back(static_cast<uint8_t>(kXorFirst + bytes - 1));
      }
    }
  }
  for (size_t i = 0; i < tags.size(); i += 2) {
    const int high = i + 1 < tags.size() ? tags[i + 1] : 0;
    out.push_back(static_cast<char>(tags[i] | high << 4));
  }
  out.append(data.data(), static_cast<size_t>(p - data.data()));
}

bool DecodeRowValues(ByteReader& in, const OpenRow* before, std::vector<double>& values) {
  const uint64_t n = in.Varint();
  if (!in.ok() || n > in.left() * 8) return false;
  const std::string_view mask = in.Take((n + 7) / 8);
  if (!in.ok()) return false;
  size_t changed = 0;
  for (char c : mask) changed += static_cast<size_t>(std::popcount(static_cast<uint8_t>(c)));
  const std::string_view tags = in.Take((changed + 1) / 2);
  if (!in.ok()) return false;
  // What stands still is taken over in one go, what changed is looked at.
  values.assign(n, 0);
  if (before != nullptr) {
    const size_t known = std::min<size_t>(n, before->values.size());
    for (size_t i = 0; i < known; ++i) {
      values[i] = std::bit_cast<double>(AsBefore(before->values[i]));
    }
  }
  size_t at = 0;
  for (size_t byte = 0; byte < mask.size(); ++byte) {
    for (unsigned bits = static_cast<uint8_t>(mask[byte]); bits != 0; bits &= bits - 1) {
      const size_t i = byte * 8 + static_cast<size_t>(std::countr_zero(bits));
      if (i >= n) return false;
      const uint64_t old = std::bit_cast<uint64_t>(values[i]);
      const uint8_t tag = static_cast<uint8_t>(tags[at / 2]) >> (at % 2 * 4) & 15;
      ++at;
      if (tag == kGone) {
        values[i] = kAbsent;
        continue;
      }
      const size_t bytes = static_cast<size_t>(tag < kXorFirst ? tag + 1 : tag - kXorFirst + 1);
      const std::string_view raw = in.Take(bytes);
      if (!in.ok()) return false;
      uint64_t u = 0;
      std::memcpy(&u, raw.data(), bytes);
      if (tag >= kXorFirst) {
        values[i] = std::bit_cast<double>(old ^ u << (64 - 8 * bytes));
      } else {
        int64_t b;
        if (!ToInteger(std::bit_cast<double>(old), b)) return false;
        values[i] = static_cast<double>(b + UnZigZag(u));
      }
    }
  }
  return true;
}

// epoch varint | rows u8 | positions varint | first instant, differences | one length byte a
// position (255: a varint length in front of the column) | columns | checksum u32
std::shared_ptr<const Block> Block::Make(uint64_t epoch, size_t positions,
                                         std::span<const std::shared_ptr<const OpenRow>> rows) {
  auto block = std::make_shared<Block>();
  std::string& out = block->bytes_;
  const size_t n = std::min(rows.size(), kMaxRows);
  PutVarint(out, epoch);
  out.push_back(static_cast<char>(n));
  PutVarint(out, positions);
  PutSigned(out, rows[0]->t_ms);
  std::vector<int64_t> deltas(n - 1);
  for (size_t i = 0; i + 1 < n; ++i) deltas[i] = rows[i + 1]->t_ms - rows[i]->t_ms;
  EncodeIntegers(deltas, out);

  const size_t lengths_at = out.size();
  out.resize(lengths_at + positions);
  out.reserve(out.size() + positions * 12);
  std::vector<double> column(n);
  std::string encoded;
  for (size_t p = 0; p < positions; ++p) {
    for (size_t i = 0; i < n; ++i) column[i] = rows[i]->at(p);
    encoded.clear();
    EncodeColumn(column, encoded);
    if (encoded.size() < kLongColumn) {
      out[lengths_at + p] = static_cast<char>(encoded.size());
    } else {
      out[lengths_at + p] = static_cast<char>(kLongColumn);
      PutVarint(out, encoded.size());
    }
    out += encoded;
  }
  PutFixed(out, Checksum(out));
  out.shrink_to_fit();
  (void)block->Parse();  // Of bytes just written.
  return block;
}

Result<std::shared_ptr<const Block>> Block::FromBytes(std::string bytes) {
  auto block = std::make_shared<Block>();
  block->bytes_ = std::move(bytes);
  VEDETTE_RETURN_IF_ERROR(block->Parse());
  return std::shared_ptr<const Block>(std::move(block));
}

Status Block::Parse() {
  if (bytes_.size() < 4) return DataLoss("block is too short");
  const std::string_view body(bytes_.data(), bytes_.size() - 4);
  ByteReader tail(std::string_view(bytes_).substr(body.size()));
  if (tail.Fixed<uint32_t>() != Checksum(body)) return DataLoss("block: checksum differs");
  ByteReader in(body);
  epoch_ = in.Varint();
  const size_t n = in.Fixed<uint8_t>();
  positions_ = in.Varint();
  const int64_t first = in.Signed();
  if (!in.ok() || n == 0) return DataLoss("block: header is damaged");
  instants_.resize(n);
  instants_[0] = first;
  if (!DecodeIntegers(in, std::span(instants_).subspan(1))) {
    return DataLoss("block: instants are damaged");
  }
  for (size_t i = 1; i < n; ++i) {
    if (instants_[i] < 0 || __builtin_add_overflow(instants_[i], instants_[i - 1], &instants_[i])) {
      return DataLoss("block: instants are damaged");
    }
  }
  if (positions_ > in.left()) return DataLoss("block: too many positions");
  lengths_at_ = body.size() - in.left();
  (void)in.Take(positions_);
  column_at_.reserve(positions_ / kStride + 1);
  for (size_t p = 0; p < positions_; ++p) {
    if (p % kStride == 0) column_at_.push_back(static_cast<uint32_t>(body.size() - in.left()));
    uint64_t length = static_cast<uint8_t>(bytes_[lengths_at_ + p]);
    if (length == kLongColumn) length = in.Varint();
    (void)in.Take(length);
  }
  return in.done() ? Status() : DataLoss("block: columns are damaged");
}

bool Block::Decode(size_t position, std::span<double> out) const {
  if (position >= positions_) {
    std::ranges::fill(out, kAbsent);
    return true;
  }
  ByteReader in(std::string_view(bytes_).substr(column_at_[position / kStride]));
  for (size_t p = position / kStride * kStride;; ++p) {
    uint64_t length = static_cast<uint8_t>(bytes_[lengths_at_ + p]);
    if (length == kLongColumn) length = in.Varint();
    const std::string_view column = in.Take(length);
    if (p < position) continue;
    ByteReader body(column);
    return in.ok() && DecodeColumn(body, out);
  }
}

void Block::AddColumnBytes(std::span<uint64_t> by_position) const {
  if (positions_ == 0) return;
  ByteReader in(std::string_view(bytes_).substr(column_at_[0]));
  for (size_t p = 0; p < positions_; ++p) {
    uint64_t length = static_cast<uint8_t>(bytes_[lengths_at_ + p]);
    if (length == kLongColumn) length = in.Varint();
    (void)in.Take(length);
    by_position[p] += length + 1;  // And the byte that says so.
  }
}

}  // namespace vedette::tsdb
