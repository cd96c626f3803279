#include <snappy.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "common/compress/snappy_block.h"

// Held against the library: what it decodes is decoded to the same, what it refuses is refused.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kLimit = 100'000;
  constexpr size_t kMaxLengthBytes = 5;
  const std::string_view in(reinterpret_cast<const char*>(data), size);
  size_t length = 0;
  if (!snappy::GetUncompressedLength(in.data(), in.size(), &length) || length > kLimit) return 0;
  size_t front = 1;
  while (front < kMaxLengthBytes && (data[front - 1] & 0x80) != 0) ++front;
  std::string expected(length, '\0');
  std::string got(length, '\0');
  const bool ok = snappy::RawUncompress(in.data(), in.size(), expected.data());
  if (vedette::compress::DecodeSnappyElements(in.substr(front), got) != ok) std::abort();
  if (ok && got != expected) std::abort();
  return 0;
}
