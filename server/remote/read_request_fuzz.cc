#include <cstddef>
#include <cstdint>
#include <string_view>

#include "server/remote/read_request.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  (void)vedette::remote::ReadReadRequest(
      std::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
