#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "common/base/status.h"
#include "common/compress/compress.h"

// The first byte picks the encoding; the rest is decoded under a small limit, which must hold; what
// decodes must survive a round trip.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vedette::compress;
  if (size < 1) return 0;
  const Encoding encoding = Encoding(data[0] % 5);
  const std::string_view in(reinterpret_cast<const char*>(data) + 1, size - 1);
  constexpr size_t kLimit = 100'000;
  std::string out;
  if (!Decompress(encoding, in, kLimit, out).ok()) return 0;
  if (out.size() > kLimit) std::abort();
  std::string packed, again;
  if (!Compress(encoding, out, packed).ok()) std::abort();
  if (!Decompress(encoding, packed, kLimit, again).ok() || again != out) std::abort();
  return 0;
}
