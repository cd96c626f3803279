#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace vedette::remote {

// ProtobufReader walks the fields of one message in the protobuf wire format (protobuf.dev,
// "Encoding"). Every read is checked against the end; after a failure Next() is false and ok() too.
//
//   for (ProtobufReader r(message); r.Next();) {
//     if (r.field() == 1) use(r.bytes());
//   }
//
// A field's value is read by the accessor of its wire type; the wrong accessor gives 0 or "".
class ProtobufReader {
 public:
  explicit ProtobufReader(std::string_view message)
      : at_(message.data()), end_(message.data() + message.size()) {}

  bool Next() {
    if (at_ == end_ || !ok_) return false;
    uint64_t tag = 0;
    if (!Varint(&tag)) return Fail();
    field_ = static_cast<uint32_t>(tag >> 3);
    varint_ = 0;
    bytes_ = {};
    switch (tag & 7) {
      case 0:
        return Varint(&varint_) || Fail();
      case 1:
        return Fixed(8) || Fail();
      case 5:
        return Fixed(4) || Fail();
      case 2: {
        uint64_t n = 0;
        if (!Varint(&n) || n > static_cast<uint64_t>(end_ - at_)) return Fail();
        bytes_ = std::string_view(at_, n);
        at_ += n;
        return true;
      }
      default:
        return Fail();  // Groups are not used by anything that we read.
    }
  }

  bool ok() const { return ok_; }
  uint32_t field() const { return field_; }
  uint64_t varint() const { return varint_; }
  int64_t zigzag() const {
    return static_cast<int64_t>(varint_ >> 1) ^ -static_cast<int64_t>(varint_ & 1);
  }
  double real() const { return std::bit_cast<double>(varint_); }
  std::string_view bytes() const { return bytes_; }

  // The elements of a packed field: use(uint64_t) for each; false when the bytes end too early.
  template <typename Use>
  static bool PackedVarints(std::string_view packed, Use use) {
    ProtobufReader r(packed);
    while (r.at_ != r.end_) {
      uint64_t v = 0;
      if (!r.Varint(&v)) return false;
      use(v);
    }
    return true;
  }
  template <typename Use>
  static bool PackedReals(std::string_view packed, Use use) {
    if (packed.size() % 8 != 0) return false;
    for (size_t i = 0; i < packed.size(); i += 8) {
      double v = 0;
      std::memcpy(&v, packed.data() + i, 8);
      use(v);
    }
    return true;
  }

 private:
  bool Fail() {
    ok_ = false;
    return false;
  }
  bool Fixed(int n) {
    if (end_ - at_ < n) return false;
    std::memcpy(&varint_, at_, static_cast<size_t>(n));
    at_ += n;
    return true;
  }
  bool Varint(uint64_t* out) {
    uint64_t v = 0;
    for (int shift = 0; shift < 64 && at_ != end_; shift += 7) {
      const auto b = static_cast<uint8_t>(*at_++);
      v |= static_cast<uint64_t>(b & 0x7f) << shift;
      if (b < 0x80) {
        *out = v;
        return true;
      }
    }
    return false;
  }

  const char* at_;
  const char* end_;
  bool ok_ = true;
  uint32_t field_ = 0;
  uint64_t varint_ = 0;
  std::string_view bytes_;
};

}  // namespace vedette::remote
