#include <cstdint>
#include <string_view>
#include <vector>

#include "ctl/prometheus_block.h"

// A chunk of somebody else's disk. Whatever the bytes, decoding ends.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<vedette::Sample> samples;
  (void)vedette::ctl::DecodeXorChunk({reinterpret_cast<const char*>(data), size}, &samples);
  return 0;
}
