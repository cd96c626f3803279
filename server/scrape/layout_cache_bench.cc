#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "common/base/strings.h"
#include "common/model/labels.h"
#include "server/scrape/job.h"
#include "server/scrape/layout_cache.h"
#include "server/scrape/timeline.h"
#include "server/storage/appender.h"

namespace vedette::scrape {
namespace {

// Storage that costs nothing, so that what is measured is scraping.
class NoAppender final : public storage::Appender {
  class Writer final : public storage::TimelineWriter {
   public:
    Result<uint32_t> AddSeries(const Labels&) override { return next_++; }
    Labels LabelsAt(uint32_t) const override { return {}; }
    Result<storage::CommitStats> Commit(const storage::Row& row) override {
      benchmark::DoNotOptimize(row.values.data());
      return storage::CommitStats{.appended = row.values.size()};
    }

   private:
    uint32_t next_ = 0;
  };

 public:
  std::unique_ptr<storage::TimelineWriter> OpenTimeline(const std::string&) override {
    return std::make_unique<Writer>();
  }
  Result<storage::CommitStats> Write(std::span<const storage::SeriesBatch>) override {
    return storage::CommitStats{};
  }
  void SetMetadata(const std::string&, const Metadata&) override {}
};

// A thousand series whose values move: two bodies that differ in every value.
std::string Body(int turn) {
  std::string body;
  for (int family = 0; family < 50; ++family) {
    StrAppend(body, "# HELP node_metric_", family, "_total Something about this machine.\n");
    StrAppend(body, "# TYPE node_metric_", family, "_total counter\n");
    for (int i = 0; i < 20; ++i) {
      StrAppend(body, "node_metric_", family, "_total{cpu=\"", i, "\",mode=\"idle\",device=\"sd", i,
                "\"} ", 123456.25 * (i + 1) + family + turn * 3, "\n");
    }
  }
  return body;
}

// One scrape from bytes to a committed row, once in step and once with every line new.
void Scrapes(benchmark::State& state, bool steady) {
  NoAppender storage;
  Timeline timeline(storage, "node");
  LayoutCache cache(nullptr);
  Job job;
  job.name = "node";
  const Labels target = Labels::Of({{"job", "node"}, {"instance", "n1:9100"}});
  const std::string bodies[] = {Body(0), Body(1)};
  int64_t samples = 0;
  int turn = 0;
  for (auto _ : state) {
    if (!steady) {
      cache.Forget();
      timeline.Restart();
    }
    timeline.Begin();
    const Status status =
        cache.Ingest(bodies[turn++ & 1], exposition::Protocol::kText0_0_4, target, job, timeline);
    if (!status.ok() || !timeline.Commit(turn).ok()) state.SkipWithError("failed");
    samples += static_cast<int64_t>(cache.counts().scraped);
  }
  state.SetItemsProcessed(samples);
}
void BM_ScrapeInStep(benchmark::State& state) { Scrapes(state, true); }
void BM_ScrapeAllNew(benchmark::State& state) { Scrapes(state, false); }
BENCHMARK(BM_ScrapeInStep);
BENCHMARK(BM_ScrapeAllNew);

}  // namespace
}  // namespace vedette::scrape
