#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/exposition/protobuf.h"

// Delimited protobuf from a stranger: reading ends, and what was read can be written again.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vedette;  // NOLINT: a fuzz target is a program of its own.
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  (void)exposition::ParseProtobuf(body, {.native_histograms = true, .always_classic = true},
                                  [](MetricFamily& family) {
                                    (void)exposition::SerializeFamily(family);
                                    return Status();
                                  });
  return 0;
}
