#include "server/remote/write_request.h"

// The body of a remote write comes from anyone who may write. Whatever the bytes, both readers end,
// and what they give is consistent.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  vedette::remote::WriteRequest request;
  for (const bool v2 : {false, true}) {
    const vedette::Status status = v2 ? request.ReadV2(body) : request.ReadV1(body);
    if (!status.ok()) continue;
    size_t samples = 0;
    for (const auto& s : request.series()) {
      samples += s.samples.size();
      if (s.labels.metric_name().empty()) __builtin_trap();
    }
    if (samples != request.samples()) __builtin_trap();
  }
  return 0;
}
