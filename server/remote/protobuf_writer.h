#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

namespace vedette::remote {

// ProtobufWriter appends the fields of one message in the protobuf wire format. Fields with their
// default value are left out, as proto3 does.
//
//   ProtobufWriter w(&out);
//   w.Bytes(1, name);
//   w.Message(2, inner);   // Written by a writer of its own before.
class ProtobufWriter {
 public:
  explicit ProtobufWriter(std::string* out) : out_(*out) {}

  void Varint(uint32_t field, uint64_t v) {
    if (v == 0) return;
    Raw(uint64_t{field} << 3);
    Raw(v);
  }
  void Int(uint32_t field, int64_t v) { Varint(field, static_cast<uint64_t>(v)); }
  void Zigzag(uint32_t field, int64_t v) { Varint(field, Zigzagged(v)); }
  void Real(uint32_t field, double v) {
    const auto bits = std::bit_cast<uint64_t>(v);
    if (bits == 0) return;
    Raw((uint64_t{field} << 3) | 1);
    Fixed64(bits);
  }
  void Bytes(uint32_t field, std::string_view bytes) {
    if (!bytes.empty()) Message(field, bytes);
  }
  // As Bytes, and written even when it is empty: an element of a list.
  void Message(uint32_t field, std::string_view message) {
    Raw((uint64_t{field} << 3) | 2);
    Raw(message.size());
    out_.append(message);
  }

  // Without a tag: for what is packed into bytes.
  void Raw(uint64_t v) {
    while (v >= 0x80) {
      out_.push_back(static_cast<char>(v | 0x80));
      v >>= 7;
    }
    out_.push_back(static_cast<char>(v));
  }
  void Fixed64(uint64_t bits) {
    for (int i = 0; i < 8; ++i) out_.push_back(static_cast<char>(bits >> (8 * i)));
  }
  static uint64_t Zigzagged(int64_t v) {
    return (static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63);
  }

 private:
  std::string& out_;
};

}  // namespace vedette::remote
