#include <cstddef>
#include <cstdint>

#include "server/discovery/xml.h"

// An endpoint may be anybody's. Whatever it answers, reading ends.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  (void)vedette::discovery::ParseXml({reinterpret_cast<const char*>(data), size});
  return 0;
}
