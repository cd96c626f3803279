#include "server/remote/xor_chunk.h"

#include <array>
#include <bit>

namespace vedette::remote {
namespace {

// Bits from the highest down, bytes filled from their highest bit.
class BitWriter {
 public:
  explicit BitWriter(std::string* out) : out_(*out) {}

  void Bits(uint64_t v, int n) {
    while (n > 0) {
      if (free_ == 0) {
        out_.push_back('\0');
        free_ = 8;
      }
      const int now = n < free_ ? n : free_;
      const uint64_t part = (v >> (n - now)) & ((uint64_t{1} << now) - 1);
      out_.back() = static_cast<char>(static_cast<uint8_t>(out_.back()) | (part << (free_ - now)));
      free_ -= now;
      n -= now;
    }
  }
  void Varint(uint64_t v) {
    while (v >= 0x80) {
      Bits((v & 0x7f) | 0x80, 8);
      v >>= 7;
    }
    Bits(v, 8);
  }

 private:
  std::string& out_;
  int free_ = 0;  // Bits of the last byte that are not taken yet.
};

constexpr std::array<uint32_t, 256> CastagnoliTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int k = 0; k < 8; ++k) crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78u : 0);
    table[i] = crc;
  }
  return table;
}

}  // namespace

std::string EncodeXorChunk(std::span<const int64_t> t_ms, std::span<const double> values) {
  std::string out;
  out.push_back(static_cast<char>(t_ms.size() >> 8));
  out.push_back(static_cast<char>(t_ms.size()));
  BitWriter bits(&out);
  uint64_t delta = 0;
  uint64_t before = 0;  // Bits of the last value.
  int leading = -1;     // Of the window of changed bits in use; -1: none yet.
  int trailing = 0;
  for (size_t i = 0; i < t_ms.size(); ++i) {
    const auto value = std::bit_cast<uint64_t>(values[i]);
    if (i == 0) {
      const int64_t t = t_ms[0];
      bits.Varint((static_cast<uint64_t>(t) << 1) ^ static_cast<uint64_t>(t >> 63));
      bits.Bits(value, 64);
      before = value;
      continue;
    }
    const uint64_t step = static_cast<uint64_t>(t_ms[i]) - static_cast<uint64_t>(t_ms[i - 1]);
    if (i == 1) {
      bits.Varint(step);
    } else {
      const auto turn = static_cast<int64_t>(step - delta);
      const auto fits = [&](int n) {
        return -((int64_t{1} << (n - 1)) - 1) <= turn && turn <= int64_t{1} << (n - 1);
      };
      if (turn == 0) {
        bits.Bits(0, 1);
      } else if (fits(14)) {
        bits.Bits(0b10, 2);
        bits.Bits(static_cast<uint64_t>(turn), 14);
      } else if (fits(17)) {
        bits.Bits(0b110, 3);
        bits.Bits(static_cast<uint64_t>(turn), 17);
      } else if (fits(20)) {
        bits.Bits(0b1110, 4);
        bits.Bits(static_cast<uint64_t>(turn), 20);
      } else {
        bits.Bits(0b1111, 4);
        bits.Bits(static_cast<uint64_t>(turn), 64);
      }
    }
    delta = step;

    const uint64_t changed = value ^ before;
    before = value;
    if (changed == 0) {
      bits.Bits(0, 1);
      continue;
    }
    // Five bits say how many lead.
    const int zeros = std::countl_zero(changed) < 31 ? std::countl_zero(changed) : 31;
    const int after = std::countr_zero(changed);
    if (leading >= 0 && zeros >= leading && after >= trailing) {
      bits.Bits(0b10, 2);
    } else {
      leading = zeros;
      trailing = after;
      const int significant = 64 - leading - trailing;
      bits.Bits(0b11, 2);
      bits.Bits(static_cast<uint64_t>(leading), 5);
      // 64 does not fit into six bits and is written as 0, which never happens otherwise.
      bits.Bits(static_cast<uint64_t>(significant & 63), 6);
    }
    bits.Bits(changed >> trailing, 64 - leading - trailing);
  }
  return out;
}

uint32_t Crc32c(std::string_view bytes) {
  static constexpr std::array<uint32_t, 256> kTable = CastagnoliTable();
  uint32_t crc = ~0u;
  for (const char c : bytes) crc = (crc >> 8) ^ kTable[(crc ^ static_cast<uint8_t>(c)) & 0xff];
  return ~crc;
}

}  // namespace vedette::remote
