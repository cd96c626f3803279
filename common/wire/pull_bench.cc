#include <benchmark/benchmark.h>

#include <random>

#include "common/model/labels.h"
#include "common/model/metric_family.h"
#include "common/model/snapshot.h"
#include "common/wire/pull.h"

namespace vedette::wire {
namespace {

// A host: a tenth CPU time in hundredths, counters of bytes and packets, gauges in KiB, and the
// greater part that hardly ever moves. `busy` is the share of series that move in a scrape.
class Host {
 public:
  Host(size_t series, double busy) : busy_(busy) {
    snapshot_.run_id = 1;
    snapshot_.t_ms = 1'700'000'000'000;
    SourceSnapshot source;
    source.state = {.name = "host", .kind = SourceState::Kind::kHost, .up = true};
    for (size_t f = 0; f < series / 10; ++f) {
      MetricFamily family{.name = "node_family_" + std::to_string(f) + "_total",
                          .metadata = {.type = MetricType::kCounter, .help = "Something counted."}};
      for (size_t i = 0; i < 10; ++i) {
        family.samples.push_back(
            {.labels = Labels::Of({{"__name__", family.name}, {"device", std::to_string(i)}}),
             .value = static_cast<double>(random_() % 1'000'000)});
      }
      source.families.push_back(std::move(family));
    }
    snapshot_.sources.push_back(std::move(source));
  }

  const Snapshot& Next() {
    ++snapshot_.sequence;
    snapshot_.t_ms += 15'000;
    snapshot_.sources[0].state.duration_seconds = static_cast<double>(random_() % 5000) / 1e6;
    size_t f = 0;
    for (MetricFamily& family : snapshot_.sources[0].families) {
      ++f;
      for (FamilySample& s : family.samples) {
        if (static_cast<double>(random_() % 1000) >= busy_ * 1000) continue;
        if (f % 10 == 0) {
          s.value = static_cast<double>(static_cast<int64_t>(s.value * 100) + 1400 +
                                        static_cast<int64_t>(random_() % 100)) /
                    100;
        } else if (f % 10 == 1) {
          s.value = static_cast<double>(random_() % 1'000'000) * 1024;
        } else {
          s.value += static_cast<double>(random_() % 3000);
        }
      }
    }
    return snapshot_;
  }

 private:
  std::mt19937_64 random_{42};
  double busy_;
  Snapshot snapshot_;
};

void BM_Encode(benchmark::State& state) {
  const auto series = static_cast<size_t>(state.range(0));
  Host host(series, static_cast<double>(state.range(1)) / 100);
  PullEncoder encoder;
  encoder.Encode(host.Next());
  size_t bytes = 0, frames = 0;
  for (auto _ : state) {
    state.PauseTiming();
    const Snapshot& s = host.Next();
    state.ResumeTiming();
    bytes += encoder.Encode(s).size();
    ++frames;
  }
  state.SetItemsProcessed(static_cast<int64_t>(frames * series));
  state.counters["bytes_per_value"] =
      static_cast<double>(bytes) / static_cast<double>(frames * series);
}
BENCHMARK(BM_Encode)->Args({1000, 10})->Args({1000, 60})->Args({20000, 10});

void BM_Decode(benchmark::State& state) {
  const auto series = static_cast<size_t>(state.range(0));
  Host host(series, static_cast<double>(state.range(1)) / 100);
  PullEncoder encoder;
  std::vector<std::string> frames;
  for (int i = 0; i < 100; ++i) frames.push_back(encoder.Encode(host.Next()));
  PullDecoder decoder;
  size_t i = 0;
  for (auto _ : state) {
    if (i == 0) {
      state.PauseTiming();
      benchmark::DoNotOptimize(decoder.Decode(frames[i++]));
      state.ResumeTiming();
    }
    benchmark::DoNotOptimize(decoder.Decode(frames[i]));
    i = (i + 1) % frames.size();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(series));
}
BENCHMARK(BM_Decode)->Args({1000, 10})->Args({1000, 60})->Args({20000, 10});

}  // namespace
}  // namespace vedette::wire
