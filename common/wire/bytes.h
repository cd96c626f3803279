#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace vedette::wire {

// The primitives that frames are made of: LEB128 varints, zigzag for signed numbers, strings with
// their length before them, fixed numbers little-endian.
inline uint64_t ZigZag(int64_t v) {
  return (static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63);
}
inline int64_t UnZigZag(uint64_t u) {
  return static_cast<int64_t>(u >> 1) ^ -static_cast<int64_t>(u & 1);
}

inline void PutByte(std::string& out, uint8_t b) { out.push_back(static_cast<char>(b)); }

inline void PutVarint(std::string& out, uint64_t v) {
  while (v >= 0x80) {
    PutByte(out, static_cast<uint8_t>(v | 0x80));
    v >>= 7;
  }
  PutByte(out, static_cast<uint8_t>(v));
}

inline size_t VarintSize(uint64_t v) { return static_cast<size_t>(std::bit_width(v | 1) + 6) / 7; }

inline void PutSigned(std::string& out, int64_t v) { PutVarint(out, ZigZag(v)); }

inline void PutFixed(std::string& out, uint64_t v, int bytes) {
  for (int i = 0; i < bytes; ++i) PutByte(out, static_cast<uint8_t>(v >> (8 * i)));
}

inline void PutString(std::string& out, std::string_view s) {
  PutVarint(out, s.size());
  out.append(s);
}

// ByteReader walks bytes that may be hostile. After the first read past the end every further one
// gives zero and ok() is false, so that a parser checks once per item rather than once per byte.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  bool ok() const { return ok_; }
  size_t left() const { return rest_.size(); }
  void Fail() {
    ok_ = false;
    rest_ = {};
  }

  uint8_t Byte() {
    if (rest_.empty()) return Fail(), uint8_t{0};
    const auto b = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return b;
  }

  uint64_t Varint() {
    uint64_t v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint8_t b = Byte();
      // The tenth byte holds one bit.
      if (shift == 63 && b > 1) return Fail(), uint64_t{0};
      v |= static_cast<uint64_t>(b & 0x7f) << shift;
      if (b < 0x80) return v;
    }
    return Fail(), uint64_t{0};
  }

  int64_t Signed() { return UnZigZag(Varint()); }

  // A number of things that each take at least one byte of what is left.
  size_t Count() {
    const uint64_t n = Varint();
    if (n > rest_.size()) return Fail(), size_t{0};
    return static_cast<size_t>(n);
  }

  uint64_t Fixed(int bytes) {
    uint64_t v = 0;
    for (int i = 0; i < bytes; ++i) v |= static_cast<uint64_t>(Byte()) << (8 * i);
    return v;
  }

  std::string_view Bytes(uint64_t n) {
    if (n > rest_.size()) return Fail(), std::string_view();
    const std::string_view s = rest_.substr(0, static_cast<size_t>(n));
    rest_.remove_prefix(static_cast<size_t>(n));
    return s;
  }

  std::string_view String() { return Bytes(Varint()); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace vedette::wire
