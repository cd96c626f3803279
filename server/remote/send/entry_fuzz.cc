#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "server/remote/send/entry.h"

// The queue is read from a disk that lies. Whatever the bytes, reading ends, and what is read is no
// larger than the bytes can hold.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto entry = vedette::remote::DecodeEntry(bytes);
  if (entry.ok() && !vedette::remote::CountsOfEntry(bytes).ok()) std::abort();
  (void)vedette::remote::DecodeLayout(bytes);
  return 0;
}
