#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "server/remote/otlp.h"
#include "server/remote/otlp_json.h"

// Whatever the text: reading ends, and what comes out is a message that can be read.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto protobuf = vedette::remote::OtlpJsonToProtobuf(
      std::string_view(reinterpret_cast<const char*>(data), size));
  if (!protobuf.ok()) return 0;
  vedette::remote::OtlpRequest request;
  if (!request.Read(*protobuf).ok()) std::abort();
  return 0;
}
