// What a pull costs behind the network: an agent's frame to a row in the storage, with the reports
// and the cursor that go with it. Many agents in turn, as one alone would sit in the cache.
#include <benchmark/benchmark.h>

#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/model/labels.h"
#include "common/model/metric_family.h"
#include "common/model/snapshot.h"
#include "common/wire/pull.h"
#include "server/scrape/job.h"
#include "server/scrape/metrics.h"
#include "server/scrape/scrape_loop.h"
#include "server/scrape/source.h"
#include "server/scrape/target.h"
#include "server/storage/key_value.h"
#include "server/tsdb/tsdb.h"
#include "tests/support/temp_dir.h"

namespace vedette {
namespace {

constexpr size_t kAgents = 100;
constexpr size_t kFrames = 40;
constexpr size_t kSeries = 1000;

// Hands over frames that were encoded before.
class Recorded final : public scrape::Source {
 public:
  Recorded(std::vector<std::string> frames, size_t number)
      : frames_(std::move(frames)), key_(StrCat("cursor/", number)) {}

  void Start(const Request& request, Fetched fetched) override {
    t_ms_ = request.t_ms;
    fetched(Status());
  }
  Status Deliver(scrape::SourceSink& sink) override {
    if (at_ == 0) sink.OnStreamStart();
    VEDETTE_ASSIGN_OR_RETURN(const wire::PullFrame* frame, decoder_.Decode(frames_[at_++]));
    return sink.OnFrame(*frame, t_ms_, /*backlog=*/false);
  }
  std::optional<storage::KeyValue::Change> Receipt() override {
    return storage::KeyValue::Change{key_, StrCat("1 ", at_, " ", at_)};
  }
  void Cancel() override {}

 private:
  const std::vector<std::string> frames_;
  const std::string key_;
  wire::PullDecoder decoder_;
  size_t at_ = 0;
  int64_t t_ms_ = 0;
};

// A host of which so many series in a hundred move at a scrape.
std::vector<std::string> Frames(size_t number, int moving_percent) {
  std::mt19937_64 random(number);
  Snapshot snapshot;
  snapshot.run_id = number;
  SourceSnapshot& source = snapshot.sources.emplace_back();
  source.state = {.name = "host", .kind = SourceState::Kind::kHost, .up = true};
  for (size_t i = 0; i < kSeries; ++i) {
    if (i % 10 == 0) {
      MetricFamily& family = source.families.emplace_back();
      family.name = StrCat("load_", i / 10, "_total");
      family.metadata = {.type = MetricType::kCounter, .help = "Of the benchmark."};
    }
    source.families.back().samples.push_back(
        {.labels = Labels::Of({{"__name__", source.families.back().name},
                               {"part", StrCat(i % 10)}}),
         .value = static_cast<double>(random() % 1'000'000)});
  }
  wire::PullEncoder encoder;
  std::vector<std::string> frames;
  for (size_t f = 0; f < kFrames; ++f) {
    int at = 0;
    for (MetricFamily& family : source.families) {
      for (FamilySample& sample : family.samples) {
        if (at++ % 100 < moving_percent) sample.value += static_cast<double>(random() % 100);
      }
    }
    ++snapshot.sequence;
    snapshot.t_ms += 10'000;
    frames.push_back(encoder.Encode(snapshot));
  }
  return frames;
}

void BM_PullToRow(benchmark::State& state) {
  testing::TempDir dir;
  tsdb::TsdbOptions options;
  options.path = dir.path() + "/data";
  auto db = tsdb::Tsdb::Open(options, SystemClock());
  if (!db.ok()) return state.SkipWithError("the storage does not open");
  scrape::Metrics metrics;
  auto job = std::make_shared<scrape::Job>();
  job->name = "node";
  job->scheme = "grpc";
  std::vector<std::unique_ptr<scrape::ScrapeLoop>> loops;
  for (size_t a = 0; a < kAgents; ++a) {
    auto target =
        scrape::MakeTarget(Labels::Of({{"__address__", StrCat("host-", a, ":9465")}}), *job);
    loops.push_back(std::make_unique<scrape::ScrapeLoop>(
        scrape::ScrapeLoop::Parts{
            .target = *target,
            .job = job,
            .source = std::make_unique<Recorded>(
                Frames(a, static_cast<int>(state.range(0))), a)},
        (*db)->appender(), SystemClock(), metrics));
  }
  const int64_t start_ms = SystemClock().NowMs() - static_cast<int64_t>(kFrames) * 10'000;
  size_t at = 0;
  const auto scrape = [&] {
    scrape::ScrapeLoop& loop = *loops[at % kAgents];
    Status fetched;
    loop.Start(start_ms + static_cast<int64_t>(at / kAgents) * 10'000,
               [&](Status status) { fetched = std::move(status); });
    loop.Finish(std::move(fetched));
    ++at;
  };
  // The layouts, and the first row of each.
  while (at < 2 * kAgents) scrape();
  for (auto _ : state) scrape();
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kSeries));
  if ((*db)->stats().appended_samples < at * kSeries) state.SkipWithError("samples are missing");
}
BENCHMARK(BM_PullToRow)
    ->Arg(10)
    ->Arg(60)
    ->Iterations(kAgents * (kFrames - 2))
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace vedette
