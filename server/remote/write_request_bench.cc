#include "server/remote/write_request.h"

#include <benchmark/benchmark.h>

#include <string>
#include <string_view>

#include "server/remote/protobuf_writer.h"
#include "server/remote/series_cache.h"

namespace vedette::remote {
namespace {

constexpr int kSeries = 2000;

// A request as a Prometheus sends it: 2,000 series of one sample, seven labels each.
std::string Body(int64_t t_ms) {
  std::string body;
  std::string series;
  std::string message;
  for (int i = 0; i < kSeries; ++i) {
    series.clear();
    ProtobufWriter s(&series);
    const auto label = [&](std::string_view name, const std::string& value) {
      message.clear();
      ProtobufWriter l(&message);
      l.Bytes(1, name);
      l.Bytes(2, value);
      s.Message(1, message);
    };
    label("__name__", "node_some_metric_name_" + std::to_string(i % 300) + "_total");
    label("cpu", std::to_string(i % 16));
    label("device", "nvme" + std::to_string(i / 300) + "n1");
    label("instance", "host-" + std::to_string(i / 1000) + ".example.net:9100");
    label("job", "node");
    label("mode", "idle");
    label("zone", "eu-central-1a");
    message.clear();
    ProtobufWriter sample(&message);
    sample.Real(1, 1000.5 + i);
    sample.Int(2, t_ms);
    s.Message(2, message);
    ProtobufWriter(&body).Message(1, series);
  }
  return body;
}

void Report(benchmark::State& state, const std::string& body) {
  state.SetItemsProcessed(state.iterations() * kSeries);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(body.size()));
}

// Labels are parsed, checked and sorted: what a series costs when it comes first.
void BM_ReadNewSeries(benchmark::State& state) {
  const std::string body = Body(1'700'000'000'000);
  WriteRequest request;
  for (auto _ : state) {
    if (!request.ReadV1(body).ok()) state.SkipWithError("the body is not read");
    benchmark::DoNotOptimize(request.series().data());
  }
  Report(state, body);
}
BENCHMARK(BM_ReadNewSeries);

// Every series is known by its bytes: what it costs from the second request on.
void BM_ReadKnownSeries(benchmark::State& state) {
  const std::string body = Body(1'700'000'000'000);
  SeriesCache cache;
  WriteRequest request;
  (void)request.ReadV1(body, &cache);
  storage::SeriesRef next = 1;
  for (storage::SeriesRef& ref : request.refs()) ref = next++;
  request.Remember(cache);
  for (auto _ : state) {
    if (!request.ReadV1(body, &cache).ok()) state.SkipWithError("the body is not read");
    benchmark::DoNotOptimize(request.plain_samples().data());
  }
  if (!request.plain()) state.SkipWithError("the request is not plain");
  if (request.refs().back() == 0) state.SkipWithError("the series are not known");
  Report(state, body);
}
BENCHMARK(BM_ReadKnownSeries);

}  // namespace
}  // namespace vedette::remote
