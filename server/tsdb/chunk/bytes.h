#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace vedette::tsdb {

// Little-endian numbers and LEB128 varints, as every record of the storage is made of. Reading is
// by a cursor that fails for good once it would leave the bytes: the caller asks ok() once, at the
// end.

inline uint64_t ZigZag(int64_t v) {
  return (static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63);
}
inline int64_t UnZigZag(uint64_t v) {
  return static_cast<int64_t>(v >> 1) ^ -static_cast<int64_t>(v & 1);
}

inline void PutVarint(std::string& out, uint64_t v) {
  while (v >= 0x80) {
    out.push_back(static_cast<char>(v | 0x80));
    v >>= 7;
  }
  out.push_back(static_cast<char>(v));
}
inline void PutSigned(std::string& out, int64_t v) { PutVarint(out, ZigZag(v)); }

template <typename T>
void PutFixed(std::string& out, T v) {
  static_assert(std::endian::native == std::endian::little);
  out.append(reinterpret_cast<const char*>(&v), sizeof v);
}

inline void PutBytes(std::string& out, std::string_view bytes) {
  PutVarint(out, bytes.size());
  out.append(bytes);
}

// Keys sort as their numbers do.
inline void PutBigEndian32(std::string& out, uint32_t v) {
  const uint32_t swapped = __builtin_bswap32(v);
  out.append(reinterpret_cast<const char*>(&swapped), 4);
}
inline uint32_t GetBigEndian32(const char* p) {
  uint32_t v;
  std::memcpy(&v, p, 4);
  return __builtin_bswap32(v);
}

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : at_(bytes.data()), end_(at_ + bytes.size()) {}

  bool ok() const { return ok_; }
  size_t left() const { return static_cast<size_t>(end_ - at_); }
  std::string_view rest() const { return {at_, left()}; }
  bool done() const { return ok_ && at_ == end_; }

  uint64_t Varint() {
    uint64_t v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at_ == end_) return Fail();
      const uint8_t byte = static_cast<uint8_t>(*at_++);
      if (shift == 63 && byte > 1) return Fail();
      v |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return v;
    }
    return Fail();
  }
  int64_t Signed() { return UnZigZag(Varint()); }

  template <typename T>
  T Fixed() {
    T v{};
    if (left() < sizeof v) {
      Fail();
      return v;
    }
    std::memcpy(&v, at_, sizeof v);
    at_ += sizeof v;
    return v;
  }

  std::string_view Take(size_t n) {
    if (left() < n) {
      Fail();
      return {};
    }
    std::string_view taken(at_, n);
    at_ += n;
    return taken;
  }
  std::string_view Bytes() {
    const uint64_t n = Varint();
    return Take(n);
  }

  uint64_t Fail() {
    ok_ = false;
    at_ = end_;
    return 0;
  }

 private:
  const char* at_;
  const char* end_;
  bool ok_ = true;
};

}  // namespace vedette::tsdb
