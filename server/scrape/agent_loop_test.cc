#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "common/model/sample.h"
#include "common/wire/pull.h"
#include "server/scrape/scrape_loop.h"
#include "tests/support/fake_clock.h"
#include "tests/support/memory_appender.h"

namespace vedette::scrape {
namespace {

// A source that hands over real frames, encoded and decoded as on the wire.
class FrameSource final : public Source {
 public:
  struct Step {
    Snapshot snapshot;
    bool backlog = false;
    int64_t t_ms = 0;
    bool known = false;
  };
  void Start(const Request& request, Fetched fetched) override {
    request_ = request;
    fetched(failure);
  }
  Status Deliver(SourceSink& sink) override {
    if (encoder_ == nullptr) {
      encoder_ = std::make_unique<wire::PullEncoder>();
      decoder_ = std::make_unique<wire::PullDecoder>();
      sink.OnStreamStart();
    }
    for (const Step& step : steps) {
      const std::string bytes = encoder_->Encode(step.snapshot);
      VEDETTE_ASSIGN_OR_RETURN(const wire::PullFrame* frame, decoder_->Decode(bytes));
      VEDETTE_RETURN_IF_ERROR(
          step.known ? sink.OnKnownFrame(*frame)
                     : sink.OnFrame(*frame, step.backlog ? step.t_ms : request_.t_ms, step.backlog));
    }
    return Status();
  }
  void Cancel() override {}
  void Reset() override { encoder_ = nullptr; }
  void Stored(bool stored) override { stored_.push_back(stored); }

  std::vector<Step> steps;
  std::vector<bool> stored_;
  Status failure;

 private:
  Request request_;
  std::unique_ptr<wire::PullEncoder> encoder_;
  std::unique_ptr<wire::PullDecoder> decoder_;
};

SourceSnapshot Of(std::string name, SourceState::Kind kind, std::string metric, double value,
                  bool up = true) {
  SourceSnapshot source;
  source.state = {.name = std::move(name), .kind = kind, .up = up, .duration_seconds = 0.5};
  if (!up) return source;
  MetricFamily& family = source.families.emplace_back();
  family.name = metric;
  family.metadata.type = MetricType::kGauge;
  family.samples.push_back({.labels = Labels::Of({{"__name__", metric}}), .value = value});
  return source;
}

class AgentLoopTest : public ::testing::Test {
 protected:
  AgentLoopTest() {
    job_ = std::make_shared<Job>();
    job_->name = "node";
    job_->scheme = "grpc";
    Result<std::shared_ptr<const Target>> target =
        MakeTarget(Labels::Of({{"__address__", "n1:9465"}}), *job_);
    target_ = *target;
    auto source = std::make_unique<FrameSource>();
    source_ = source.get();
    loop_ = std::make_unique<ScrapeLoop>(
        ScrapeLoop::Parts{.target = target_, .job = job_, .source = std::move(source)}, storage_,
        clock_, metrics_);
  }
  Snapshot Of2(double host, double app, bool app_up = true) {
    Snapshot snapshot;
    snapshot.run_id = 7;
    snapshot.sequence = ++sequence_;
    snapshot.sources.push_back(Of("host", SourceState::Kind::kHost, "node_load1", host));
    snapshot.sources.push_back(
        Of("flask", SourceState::Kind::kApplication, "requests", app, app_up));
    return snapshot;
  }
  void Scrape(int64_t t_ms, std::vector<FrameSource::Step> steps) {
    source_->steps = std::move(steps);
    Status fetched;
    loop_->Start(t_ms, [&](Status status) { fetched = std::move(status); });
    loop_->Finish(fetched);
  }
  std::string Up(std::string_view job) {
    return storage_.ToString(StrCat("{__name__=\"up\", instance=\"n1:9465\", job=\"", job, "\"}"));
  }

  testing::FakeClock clock_;
  testing::MemoryAppender storage_;
  Metrics metrics_;
  std::shared_ptr<Job> job_;
  std::shared_ptr<const Target> target_;
  FrameSource* source_;
  std::unique_ptr<ScrapeLoop> loop_;
  uint64_t sequence_ = 0;
};

constexpr char kLoad[] = "{__name__=\"node_load1\", instance=\"n1:9465\", job=\"node\"}";
constexpr char kRequests[] = "{__name__=\"requests\", instance=\"n1:9465\", job=\"flask\"}";

TEST_F(AgentLoopTest, EachApplicationHasAJobAndAnUpOfItsOwn) {
  Scrape(1000, {{Of2(1, 10)}});
  Scrape(2000, {{Of2(2, 11)}});
  EXPECT_EQ(storage_.ToString(kLoad), "1@1000 2@2000");
  EXPECT_EQ(storage_.ToString(kRequests), "10@1000 11@2000");
  EXPECT_EQ(Up("node"), "1@1000 1@2000");
  EXPECT_EQ(Up("flask"), "1@1000 1@2000");
  EXPECT_EQ(storage_.ToString("{__name__=\"scrape_samples_scraped\", instance=\"n1:9465\", "
                              "job=\"flask\"}"),
            "1@1000 1@2000");
  EXPECT_EQ(storage_.series().at(kRequests).owner, "flask");
  EXPECT_EQ(loop_->metadata().at("requests").type, MetricType::kGauge);
}

TEST_F(AgentLoopTest, BoundsAreStoredAsThoseOfAScrapedPage) {
  Snapshot snapshot = Of2(1, 10);
  MetricFamily& family = snapshot.sources[0].families.emplace_back();
  family.name = "h";
  family.metadata.type = MetricType::kHistogram;
  for (const char* le : {"1", "+Inf"}) {
    family.samples.push_back(
        {.labels = Labels::Of({{"__name__", "h_bucket"}, {"le", le}}), .value = 3});
  }
  Scrape(1000, {{std::move(snapshot)}});
  for (const char* le : {"1.0", "+Inf"}) {
    EXPECT_EQ(storage_.ToString(StrCat("{__name__=\"h_bucket\", instance=\"n1:9465\", "
                                       "job=\"node\", le=\"", le, "\"}")),
              "3@1000");
  }
}

TEST_F(AgentLoopTest, AFrameThatIsStoredAlreadyStillTellsItsLayout) {
  // After a restart of the server the application is down, and the agent sends kept frames of when it was up, of
  // which the storage has the first: the layout of the application comes with that one.
  const Snapshot known = Of2(1, 10), kept = Of2(2, 11);
  Scrape(4000, {{Of2(3, 0, /*app_up=*/false)}});
  Scrape(5000, {{.snapshot = known, .backlog = true, .t_ms = 1000, .known = true},
                {.snapshot = kept, .backlog = true, .t_ms = 2000},
                {Of2(4, 0, /*app_up=*/false)}});
  Scrape(6000, {{Of2(5, 12)}});
  EXPECT_EQ(Up("node"), "1@4000 1@5000 1@6000");
  EXPECT_EQ(storage_.ToString(kRequests), "11@2000 stale@5000 12@6000");
  EXPECT_EQ(storage_.ToString(kLoad), "3@4000 2@2000 4@5000 5@6000");  // As they came.
}

TEST_F(AgentLoopTest, AKilledApplicationIsDownAndStaleAtOnceAndNothingElseIs) {
  Scrape(1000, {{Of2(1, 10)}});
  Scrape(2000, {{Of2(2, 0, /*app_up=*/false)}});
  Scrape(3000, {{Of2(3, 0, /*app_up=*/false)}});
  EXPECT_EQ(storage_.ToString(kRequests), "10@1000 stale@2000");
  EXPECT_EQ(Up("flask"), "1@1000 0@2000 0@3000");
  EXPECT_EQ(storage_.ToString(kLoad), "1@1000 2@2000 3@3000");
  EXPECT_EQ(Up("node"), "1@1000 1@2000 1@3000");
  Scrape(4000, {{Of2(4, 12)}});
  EXPECT_EQ(storage_.ToString(kRequests), "10@1000 stale@2000 12@4000");
}

TEST_F(AgentLoopTest, AnApplicationThatTheAgentNoLongerHasEndsWhole) {
  Scrape(1000, {{Of2(1, 10)}});
  Snapshot without = Of2(2, 0);
  without.sources.pop_back();
  Scrape(2000, {{without}});
  Scrape(3000, {{without}});
  EXPECT_EQ(storage_.ToString(kRequests), "10@1000 stale@2000");
  EXPECT_EQ(Up("flask"), "1@1000 stale@2000");
}

// Found end to end: a server that came back wrote what the agent had kept, and the series of an
// application that had died in the meantime stayed alive for as long as queries look back.
TEST_F(AgentLoopTest, WhatDiedInsideAGapIsStaleThere) {
  Scrape(4000, {{Of2(4, 0, false)}});
  Scrape(5000, {{Of2(1, 10), true, 1100}, {Of2(2, 0, false), true, 2100}, {Of2(5, 0, false)}});
  EXPECT_EQ(storage_.ToString(kRequests), "10@1100 stale@2100");
  EXPECT_EQ(Up("flask"), "0@4000 1@1100 0@2100 0@5000");
}

TEST_F(AgentLoopTest, WhatDiedAtTheEndOfAGapIsStaleAtTheNextScrape) {
  Scrape(4000, {{Of2(4, 0, false)}});
  Scrape(5000, {{Of2(1, 10), true, 1100}, {Of2(5, 0, false)}});
  Scrape(6000, {{Of2(6, 0, false)}});
  EXPECT_EQ(storage_.ToString(kRequests), "10@1100 stale@5000");
}

TEST_F(AgentLoopTest, AnAgentThatIsAwayTakesEverythingDownAndTheGapIsFilledLater) {
  Scrape(1000, {{Of2(1, 10)}});
  source_->failure = Unavailable("connection refused");
  Scrape(2000, {});
  Scrape(3000, {});
  EXPECT_EQ(Up("node"), "1@1000 0@2000 0@3000");
  EXPECT_EQ(Up("flask"), "1@1000 0@2000 0@3000");
  EXPECT_EQ(storage_.ToString(kLoad), "1@1000 stale@2000");
  source_->failure = Status();
  source_->Reset();
  Scrape(4000, {{Of2(4, 40)}});
  Scrape(5000, {{Of2(2, 20), true, 2100}, {Of2(3, 30), true, 3100}, {Of2(5, 50)}});
  EXPECT_EQ(storage_.ToString(kLoad), "1@1000 stale@2000 4@4000 2@2100 3@3100 5@5000");
  EXPECT_EQ(storage_.ToString(kRequests), "10@1000 stale@2000 40@4000 20@2100 30@3100 50@5000");
  EXPECT_EQ(metrics_.backfilled_rows_total.load(), 4u);
}

TEST_F(AgentLoopTest, NewRulesAreAppliedToSeriesThatAreKnownAlready) {
  Scrape(1000, {{Of2(1, 10)}});
  auto job = std::make_shared<Job>(*job_);
  job->fingerprint = "new";
  job->metric_relabel = [](const Labels& labels) -> std::optional<Labels> {
    if (labels.metric_name() == "requests") return std::nullopt;
    return labels;
  };
  loop_->Update({.target = target_, .job = job});
  Scrape(2000, {{Of2(2, 11)}});
  Scrape(3000, {{Of2(3, 12)}});
  EXPECT_EQ(storage_.ToString(kRequests), "10@1000 stale@2000");
  EXPECT_EQ(storage_.ToString(kLoad), "1@1000 2@2000 3@3000");
  EXPECT_EQ(Up("flask"), "1@1000 1@2000 1@3000");
}

TEST_F(AgentLoopTest, ARowThatCouldNotBeStoredIsTold) {
  const auto scrape = [&](int64_t t_ms) {
    source_->steps = {{.snapshot = Of2(1, 2)}};
    loop_->Start(t_ms, [&](Status fetched) { loop_->Finish(std::move(fetched)); });
  };
  scrape(1000);
  storage_.FailCommits(Unavailable("the disk is full"));
  scrape(2000);
  storage_.FailCommits(Status());
  scrape(3000);
  EXPECT_EQ(source_->stored_, (std::vector<bool>{true, false, true}));
  EXPECT_EQ(storage_.ToString("node_load1"), "1@1000 1@3000");
}

}  // namespace
}  // namespace vedette::scrape
