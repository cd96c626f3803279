#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>

#include "common/base/status.h"
#include "common/compress/compress.h"

namespace vedette::compress {
namespace {

void PutField(std::string& out, char tag, const std::string& bytes) {
  out.push_back(tag);
  out.push_back(static_cast<char>(bytes.size()));  // Below 128 everywhere here.
  out += bytes;
}

// A remote write of a node's series as it is before it is compressed: most of each is as in the one
// before.
std::string WriteRequest(size_t series) {
  std::mt19937_64 random(1);
  std::string out;
  for (size_t i = 0; i < series; ++i) {
    std::string one;
    const auto label = [&](const std::string& name, const std::string& value) {
      std::string pair;
      PutField(pair, 0x0a, name);
      PutField(pair, 0x12, value);
      PutField(one, 0x0a, pair);
    };
    label("__name__", "node_cpu_metric_" + std::to_string(i / 16));
    label("cpu", std::to_string(i % 16));
    label("instance", "host-0012:9100");
    label("job", "node");
    std::string sample("\x09", 1);
    const double value = static_cast<double>(random() % 1'000'000);
    sample.append(reinterpret_cast<const char*>(&value), sizeof value);
    sample += std::string("\x10\x80\x92\xf8\xa1\xbc\x31", 7);
    PutField(one, 0x12, sample);
    PutField(out, 0x0a, one);
  }
  return out;
}

void BM_DecompressWriteRequest(benchmark::State& state) {
  constexpr size_t kSeries = 2000;
  const std::string plain = WriteRequest(kSeries);
  std::string packed;
  if (!Compress(Encoding::kSnappy, plain, packed).ok()) std::abort();
  std::string out;
  for (auto _ : state) {
    if (!Decompress(Encoding::kSnappy, packed, plain.size(), out).ok()) std::abort();
    benchmark::DoNotOptimize(out.data());
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kSeries));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * plain.size()));
}
BENCHMARK(BM_DecompressWriteRequest);

}  // namespace
}  // namespace vedette::compress
