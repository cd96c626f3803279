#include <xxhash.h>

#include <cstdlib>
#include <string>

#include "common/base/status.h"
#include "common/wire/pull.h"

// An agent that lies. The input is cut into frames whose checksums are made right, so that the
// fuzzer gets past them: decoding ends, within its memory, and what it gives can be walked.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  vedette::wire::PullDecoder decoder(1 << 20);
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  uint32_t sum = 0;
  double total = 0;
  while (rest.size() > 2) {
    const size_t n = static_cast<uint8_t>(rest[0]) * 4 + 2;
    std::string frame(rest.substr(1, n));
    rest.remove_prefix(std::min(rest.size(), n + 1));
    const bool start = frame.size() > 1 && (frame[1] & 1) != 0;
    sum = XXH32(frame.data(), frame.size(), start ? 0 : sum);
    for (int b = 0; b < 4; ++b) frame.push_back(static_cast<char>(sum >> (8 * b)));
    auto decoded = decoder.Decode(frame);
    if (!decoded.ok()) {
      if (decoded.status().code() != vedette::StatusCode::kDataLoss) std::abort();
      continue;
    }
    for (const auto& source : (*decoded)->sources) {
      for (const double v : source.values) total += v;
      for (const auto& a : source.added) {
        if (a.family >= source.families.size()) std::abort();
        for (const auto& l : a.labels) total += static_cast<double>(l.value.size());
      }
      for (const auto& h : source.histograms) {
        if (h.position >= source.values.size()) std::abort();
      }
      for (const auto& e : source.exemplars) {
        if (e.position >= source.values.size()) std::abort();
      }
    }
  }
  static volatile double keep;
  keep = total;
  return 0;
}
