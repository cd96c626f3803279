#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "server/push/group_path.h"

// Paths come from anybody who reaches the port. Whatever the bytes, what is accepted has a job.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto labels =
      vedette::push::ParseGroupPath({reinterpret_cast<const char*>(data), size});
  if (labels.ok() && !labels->Has("job")) std::abort();
  return 0;
}
