#include "server/tsdb/tsdb.h"

#include <benchmark/benchmark.h>

#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/model/labels.h"
#include "common/model/sample.h"
#include "server/storage/appender.h"
#include "server/storage/queryable.h"
#include "tests/support/temp_dir.h"

namespace vedette::tsdb {
namespace {

constexpr int64_t kStart = 1'600'000'000'000;
constexpr size_t kSeries = 1000;

Labels SeriesOf(size_t host, size_t i) {
  return Labels::Of({{"__name__", "node_some_metric_name_" + std::to_string(i % 300)},
                     {"cpu", std::to_string(i / 300)},
                     {"instance", "host-" + std::to_string(host) + ".example.net:9100"},
                     {"job", "node"},
                     {"mode", "idle"}});
}

// A busy host: 43 % of the series change at a scrape, 22 % are always 0, 17 % have decimals.
void Step(std::vector<double>& values, std::mt19937_64& random) {
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t kind = i % 100;
    if (kind < 26) values[i] += static_cast<double>(random() % 2000);
    if (kind >= 26 && kind < 43) values[i] = static_cast<double>(random() % 100000) / 100;
    if (kind >= 43 && kind < 78) values[i] = static_cast<double>(i * 4096);
  }
}

std::unique_ptr<Tsdb> Open(const std::string& path, size_t column_cache_bytes = 0) {
  TsdbOptions options;
  options.path = path;
  options.column_cache_bytes = column_cache_bytes;
  options.retention_ms = 0;
  Result<std::unique_ptr<Tsdb>> db = Tsdb::Open(options, SystemClock());
  return db.ok() ? *std::move(db) : nullptr;
}

void BM_CommitRows(benchmark::State& state) {
  testing::TempDir dir;
  auto db = Open(dir.path() + "/data");
  const size_t targets = static_cast<size_t>(state.range(0));
  std::vector<std::unique_ptr<storage::TimelineWriter>> writers;
  std::vector<std::vector<double>> values(targets, std::vector<double>(kSeries));
  for (size_t h = 0; h < targets; ++h) {
    writers.push_back(db->appender().OpenTimeline("node"));
    for (size_t i = 0; i < kSeries; ++i) (void)writers.back()->AddSeries(SeriesOf(h, i));
  }
  std::mt19937_64 random(1);
  size_t at = 0;
  for (auto _ : state) {
    const size_t h = at % targets;
    Step(values[h], random);
    auto s = writers[h]->Commit(
        {.t_ms = kStart + static_cast<int64_t>(at / targets) * 15'000, .values = values[h]});
    if (!s.ok()) state.SkipWithError("commit");
    ++at;
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kSeries));
  const TsdbStats s = db->stats();
  const double series = static_cast<double>(targets * kSeries);
  state.counters["head_bytes_per_series"] = static_cast<double>(s.head_memory_bytes) / series;
  state.counters["index_bytes_per_series"] = static_cast<double>(s.index_memory_bytes) / series;
  writers.clear();
  auto change = db->Compact();
  state.counters["disk_bytes_per_sample"] =
      static_cast<double>(db->stats().disk_bytes) /
      static_cast<double>(state.iterations() * static_cast<int64_t>(kSeries));
}
BENCHMARK(BM_CommitRows)->Arg(20)->Iterations(20000)->Unit(benchmark::kMicrosecond);
BENCHMARK(BM_CommitRows)->Arg(200)->Iterations(60000)->Unit(benchmark::kMicrosecond);

// Requests of 2,000 series with one sample each, as remote write brings them.
void BM_WriteBatches(benchmark::State& state) {
  testing::TempDir dir;
  auto db = Open(dir.path() + "/data");
  constexpr size_t kRequests = 50;
  std::vector<std::vector<storage::SeriesBatch>> requests(kRequests);
  std::vector<std::vector<Sample>> samples(kRequests);
  for (size_t r = 0; r < kRequests; ++r) {
    samples[r].resize(2 * kSeries);
    for (size_t i = 0; i < 2 * kSeries; ++i) {
      requests[r].push_back({.labels = SeriesOf(r * 2 + i / kSeries, i % kSeries),
                             .samples = std::span(&samples[r][i], 1)});
    }
  }
  std::mt19937_64 random(1);
  std::vector<double> values(2 * kSeries);
  size_t at = 0;
  for (auto _ : state) {
    const size_t r = at % kRequests;
    state.PauseTiming();
    Step(values, random);
    for (size_t i = 0; i < values.size(); ++i) {
      samples[r][i] = {kStart + static_cast<int64_t>(at / kRequests) * 15'000, values[i]};
    }
    state.ResumeTiming();
    if (!db->appender().Write(requests[r]).ok()) state.SkipWithError("write");
    ++at;
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(2 * kSeries));
}
BENCHMARK(BM_WriteBatches)->Iterations(10000)->Unit(benchmark::kMicrosecond);

// 100 series of one metric on 100 targets over 840 rows: a dashboard panel. From memory and disk,
// from disk alone, and from the columns that were kept of the time before.
void BM_Select(benchmark::State& state) {
  testing::TempDir dir;
  auto db = Open(dir.path() + "/data", static_cast<size_t>(state.range(1)));
  std::mt19937_64 random(1);
  {
    std::vector<double> values(kSeries);
    for (size_t h = 0; h < 100; ++h) {
      auto writer = db->appender().OpenTimeline("node");
      for (size_t i = 0; i < kSeries; ++i) (void)writer->AddSeries(SeriesOf(h, i));
      for (int r = 0; r < 840; ++r) {
        Step(values, random);
        (void)writer->Commit({.t_ms = kStart + r * 15'000, .values = values});
      }
    }
  }
  if (state.range(0)) (void)db->Compact();
  const std::vector<Matcher> matchers = {Matcher::Equal("__name__", "node_some_metric_name_7"),
                                         Matcher::Equal("cpu", "0")};
  int64_t samples = 0;
  for (auto _ : state) {
    auto querier = *db->queryable().Open(kStart, kStart + 840 * 15'000);
    auto set = querier->Select({.start_ms = kStart, .end_ms = kStart + 840 * 15'000}, matchers);
    while (set->Next()) samples += static_cast<int64_t>(set->at().values.size());
  }
  state.SetItemsProcessed(samples);
}
BENCHMARK(BM_Select)
    ->ArgNames({"sealed", "cache"})
    ->Args({0, 0})
    ->Args({1, 0})
    ->Args({1, 64 << 20})
    ->Unit(benchmark::kMicrosecond);

// The newest samples of all series of 50 targets, as an aggregation over everything wants them: whole, with
// the one label that it groups by, and where it only counts.
void BM_SelectEnds(benchmark::State& state) {
  testing::TempDir dir;
  auto db = Open(dir.path() + "/data");
  constexpr size_t kTargets = 50;
  constexpr int kRows = 480;
  std::mt19937_64 random(1);
  {
    std::vector<double> values(kSeries);
    for (size_t h = 0; h < kTargets; ++h) {
      auto writer = db->appender().OpenTimeline("node");
      for (size_t i = 0; i < kSeries; ++i) (void)writer->AddSeries(SeriesOf(h, i));
      for (int r = 0; r < kRows; ++r) {
        Step(values, random);
        (void)writer->Commit({.t_ms = kStart + r * 15'000, .values = values});
      }
    }
  }
  (void)db->Compact();
  storage::SelectHints hints{.start_ms = kStart + (kRows - 20) * 15'000,
                             .end_ms = kStart + kRows * 15'000};
  if (state.range(0) > 0) hints.labels = {"__name__"};
  hints.presence_only = state.range(0) > 1;
  const std::vector<Matcher> matchers = {Matcher::Equal("job", "node")};
  for (auto _ : state) {
    auto querier = *db->queryable().Open(hints.start_ms, hints.end_ms);
    auto set = querier->Select(hints, matchers);
    size_t series = 0;
    while (set->Next()) ++series;
    if (series != kTargets * kSeries) state.SkipWithError("not all of them");
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kTargets * kSeries));
}
BENCHMARK(BM_SelectEnds)->ArgName("narrow")->DenseRange(0, 2)->Unit(benchmark::kMillisecond);

void BM_OpenAfter(benchmark::State& state) {
  testing::TempDir dir;
  auto db = Open(dir.path() + "/data");
  std::mt19937_64 random(1);
  {
    std::vector<double> values(kSeries);
    const size_t targets = static_cast<size_t>(state.range(0));
    std::vector<std::unique_ptr<storage::TimelineWriter>> writers;
    for (size_t h = 0; h < targets; ++h) {
      writers.push_back(db->appender().OpenTimeline("node"));
      for (size_t i = 0; i < kSeries; ++i) (void)writers.back()->AddSeries(SeriesOf(h, i));
    }
    for (int r = 0; r < 100; ++r) {
      Step(values, random);
      for (auto& w : writers) (void)w->Commit({.t_ms = kStart + r * 15'000, .values = values});
    }
  }
  for (auto _ : state) {
    state.PauseTiming();
    db.reset();
    state.ResumeTiming();
    db = Open(dir.path() + "/data");
  }
}
BENCHMARK(BM_OpenAfter)->Arg(100)->Arg(500)->Iterations(3)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace vedette::tsdb
