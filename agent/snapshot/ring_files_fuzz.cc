#include <cstddef>
#include <cstdint>

#include "agent/snapshot/ring_files.h"

// A segment is read from a disk that lies. Whatever the bytes, reading ends, and touches nothing
// else.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  bool damaged = false;
  (void)vedette::agent::ReadRingSegment({reinterpret_cast<const char*>(data), size}, &damaged);
  return 0;
}
