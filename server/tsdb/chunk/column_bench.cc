#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

#include "server/tsdb/chunk/bytes.h"
#include "server/tsdb/chunk/column.h"

namespace vedette::tsdb {
namespace {

std::vector<double> Shaped(int shape, size_t n) {
  std::mt19937_64 random(3);
  std::vector<double> v(n);
  double walk = 1e6;
  for (double& x : v) {
    switch (shape) {
      case 0:
        x = 0;
        break;  // Constant.
      case 1:
        x = walk += 1000 + static_cast<double>(random() % 64);
        break;  // Counter.
      case 2:
        x = (walk += static_cast<double>(random() % 200)) / 100;
        break;  // Centiseconds.
      case 3:
        x = random() % 8 == 0 ? walk += 1 : walk;
        break;  // Rarely moving.
      default:
        x = static_cast<double>(random()) / 1e19;
        break;  // Noise.
    }
  }
  return v;
}

void BM_EncodeColumn(benchmark::State& state) {
  const std::vector<double> v =
      Shaped(static_cast<int>(state.range(0)), static_cast<size_t>(state.range(1)));
  std::string out;
  for (auto _ : state) {
    out.clear();
    EncodeColumn(v, out);
    benchmark::DoNotOptimize(out.data());
  }
  state.SetItemsProcessed(state.iterations() * state.range(1));
  state.counters["bytes_per_value"] =
      static_cast<double>(out.size()) / static_cast<double>(v.size());
}
BENCHMARK(BM_EncodeColumn)->ArgsProduct({{0, 1, 2, 3, 4}, {16, 480}});

void BM_DecodeColumn(benchmark::State& state) {
  std::vector<double> v = Shaped(static_cast<int>(state.range(0)), 480);
  std::string out;
  EncodeColumn(v, out);
  for (auto _ : state) {
    ByteReader in(out);
    if (!DecodeColumn(in, v)) state.SkipWithError("damaged");
    benchmark::DoNotOptimize(v.data());
  }
  state.SetItemsProcessed(state.iterations() * 480);
}
BENCHMARK(BM_DecodeColumn)->DenseRange(0, 4);

// What an instant wants of a long column: the last 20 values of 480.
void BM_DecodeEndOfColumn(benchmark::State& state) {
  std::vector<double> v = Shaped(static_cast<int>(state.range(0)), 480);
  std::string out;
  EncodeColumn(v, out);
  for (auto _ : state) {
    ByteReader in(out);
    if (!DecodeColumn(in, v, 460)) state.SkipWithError("damaged");
    benchmark::DoNotOptimize(v.data());
  }
}
BENCHMARK(BM_DecodeEndOfColumn)->DenseRange(0, 4);

}  // namespace
}  // namespace vedette::tsdb
