#include <cstddef>
#include <cstdint>
#include <string_view>

#include "server/remote/otlp.h"

// Whatever the bytes, the reader ends and every series it gives has a name and one sample or histogram.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  vedette::remote::OtlpRequest request;
  const vedette::Status status =
      request.Read(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!status.ok()) return 0;
  for (const auto& s : request.series()) {
    if (s.labels.metric_name().empty() || s.samples.size() + s.histograms.size() != 1) {
      __builtin_trap();
    }
  }
  return 0;
}
