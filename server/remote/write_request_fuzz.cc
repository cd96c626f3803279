#include "server/remote/series_cache.h"
#include "server/remote/write_request.h"

// The body of a remote write comes from anyone who may write. Whatever the bytes, both readers end,
// what they give is consistent, and a cache changes nothing but who names the series.
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

    // A ref names the label set, as the storage gives it.
    std::vector<vedette::Labels> named;
    vedette::remote::SeriesCache cache;
    vedette::remote::WriteRequest again;
    for (int round = 0; round < 3; ++round) {
      const vedette::Status read = v2 ? again.ReadV2(body, &cache) : again.ReadV1(body, &cache);
      if (!read.ok() || again.series().size() != request.series().size()) __builtin_trap();
      for (size_t i = 0; i < again.series().size(); ++i) {
        const auto& want = request.series()[i];
        const auto& got = again.series()[i];
        vedette::storage::SeriesRef& ref = again.refs()[i];
        if (ref == 0) {
          named.push_back(got.labels);
          ref = named.size();
        }
        if (named[ref - 1] != want.labels || got.samples.size() != want.samples.size() ||
            got.histograms.size() != want.histograms.size() ||
            got.exemplars.size() != want.exemplars.size()) {
          __builtin_trap();
        }
      }
      if (again.plain() && again.plain_samples().size() != again.refs().size()) __builtin_trap();
      again.Remember(cache);
    }
  }
  return 0;
}
