#include "server/scrape/scrape_manager.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "common/base/strings.h"
#include "tests/support/fake_clock.h"
#include "tests/support/memory_appender.h"

namespace vedette::scrape {
namespace {

using testing::FakeClock;
using testing::MemoryAppender;

// What targets answer, by address. A body that starts with "!" is an error.
struct World {
  std::map<std::string, std::string> bodies;
  exposition::Protocol protocol = exposition::Protocol::kText0_0_4;
  std::set<std::string> hanging;
  bool brief = false;
  int starts = 0;
  int sources = 0;
};

class FakeSource final : public Source {
 public:
  FakeSource(World& world, std::string address) : world_(world), address_(std::move(address)) {
    ++world_.sources;
  }
  void Start(const Request&, Fetched fetched) override {
    ++world_.starts;
    if (world_.hanging.contains(address_)) {
      waiting_ = std::move(fetched);
      return;
    }
    const std::string& body = world_.bodies[address_];
    fetched(body.starts_with('!') ? Unavailable(body.substr(1)) : Status());
  }
  Status Deliver(SourceSink& sink) override {
    return sink.OnBody(world_.bodies[address_], world_.protocol);
  }
  void Cancel() override {
    if (waiting_) std::exchange(waiting_, nullptr)(Cancelled("cancelled"));
  }
  bool brief() const override { return world_.brief; }
  int64_t body_bytes() const override {
    return static_cast<int64_t>(world_.bodies[address_].size());
  }

 private:
  World& world_;
  const std::string address_;
  Fetched waiting_;
};

class ScrapeManagerTest : public ::testing::Test {
 protected:
  static constexpr int64_t kStart = 1'700'000'000'000;

  ScrapeManagerTest() {
    job_.name = "node";
    job_.interval_ms = 10'000;
    job_.timeout_ms = 5'000;
  }

  void Make() {
    manager_ = std::make_unique<ScrapeManager>(
        ScrapeManager::Options{
            .source = [this](const Target& target, const Job&) -> Result<std::unique_ptr<Source>> {
              return std::unique_ptr<Source>(std::make_unique<FakeSource>(world_, target.address));
            },
            .threads = 0,
            .at_rest = at_rest_,
            .events = events_},
        storage_, clock_);
    Apply();
  }
  void Apply() {
    job_.fingerprint = StrCat(++fingerprint_);
    manager_->ApplyJobs({std::make_shared<const Job>(job_)});
  }
  void Targets(std::vector<std::string> addresses) {
    auto groups = std::make_shared<TargetGroups>();
    TargetGroup& group = (*groups)["node"].emplace_back();
    group.source = "static/0";
    for (const std::string& address : addresses) {
      group.targets.push_back(Labels::Of({{"__address__", address}}));
    }
    manager_->SetTargets(groups);
  }
  // Time passes in small steps; everything that becomes due runs.
  void Pass(int64_t ms) {
    for (int64_t end = clock_.NowMs() + ms; clock_.NowMs() < end;) {
      const int64_t nap_ms = manager_->RunDue();
      manager_->RunReady();
      clock_.Advance(std::clamp<int64_t>(nap_ms, 1, end - clock_.NowMs()));
    }
    manager_->RunDue();
    manager_->RunReady();
  }
  // The values of a series with stale markers, times left out: "1 2 stale".
  std::string Values(const std::string& labels) {
    std::string out;
    const std::string samples = storage_.ToString(labels);
    for (const std::string_view piece : Split(samples, ' ')) {
      if (!out.empty()) out.push_back(' ');
      out.append(piece.substr(0, piece.find('@')));
    }
    return out;
  }

  FakeClock clock_{kStart};
  MemoryAppender storage_;
  World world_;
  Job job_;
  int fingerprint_ = 0;
  Events events_;
  std::function<void(std::function<void()> then, int64_t linger_ms)> at_rest_;
  std::unique_ptr<ScrapeManager> manager_;
};

constexpr char kA[] = "{__name__=\"m\", instance=\"a:1\", job=\"node\", x=\"1\"}";

TEST_F(ScrapeManagerTest, ScrapesOnceAnIntervalWithReportSeries) {
  world_.bodies["a:1"] = "# TYPE m counter\n# HELP m Things.\nm{x=\"1\"} 1\nm{x=\"2\"} 2\n";
  Make();
  Targets({"a:1"});
  Pass(10'000);
  world_.bodies["a:1"] = "# TYPE m counter\n# HELP m Things.\nm{x=\"1\"} 3\nm{x=\"2\"} 4\n";
  Pass(10'000);
  EXPECT_EQ(Values(kA), "1 3");
  EXPECT_EQ(Values("up"), "1 1");
  EXPECT_EQ(Values("scrape_samples_scraped"), "2 2");
  EXPECT_EQ(Values("scrape_samples_post_metric_relabeling"), "2 2");
  EXPECT_EQ(Values("scrape_series_added"), "2 0");
  EXPECT_EQ(storage_.metadata().at("m"),
            (Metadata{.type = MetricType::kCounter, .help = "Things."}));
  EXPECT_EQ(storage_.commits(), 2u);
  EXPECT_EQ(manager_->metrics().lines_in_step_total.load(), 4u);  // The whole second body.

  const std::vector<TargetStatus> targets = manager_->Targets("node");
  ASSERT_EQ(targets.size(), 1u);
  EXPECT_EQ(targets[0].health, Health::kUp);
  EXPECT_EQ(targets[0].target->url, "http://a:1/metrics");
  EXPECT_EQ(manager_->MetadataByTarget()[0].families.at("m").help, "Things.");
}

TEST_F(ScrapeManagerTest, TellsOfIntervalsAndSyncsAndCountsItsPools) {
  std::vector<std::pair<int64_t, double>> began;
  std::vector<std::pair<std::string, uint64_t>> synced;
  events_.began = [&](int64_t interval_ms, double seconds) {
    began.emplace_back(interval_ms, seconds);
  };
  events_.synced = [&](const std::string& job, double, uint64_t failed) {
    synced.emplace_back(job, failed);
  };
  world_.bodies["a:1"] = world_.bodies["b:1"] = "# HELP m Help.\n# TYPE m gauge\nm 1\n";
  job_.limits.targets = 5;
  Make();
  Targets({"a:1", "b:1"});
  Pass(30'000);
  EXPECT_EQ(synced, (std::vector<std::pair<std::string, uint64_t>>{{"node", 0}, {"node", 0}}));
  ASSERT_GE(began.size(), 4u) << "the first scrape of each has none before it";
  for (const auto& [interval_ms, seconds] : began) {
    EXPECT_EQ(interval_ms, 10'000);
    EXPECT_NEAR(seconds, 10, 0.01);
  }
  const std::vector<ScrapeManager::PoolCounts> pools = manager_->Counts();
  ASSERT_EQ(pools.size(), 1u);
  EXPECT_EQ(pools[0].job, "node");
  EXPECT_EQ(pools[0].targets, 2u);
  EXPECT_EQ(pools[0].target_limit, 5u);
  EXPECT_EQ(pools[0].metadata_entries, 2u);
  EXPECT_EQ(pools[0].metadata_bytes, 2 * (1 + 5u));
}

TEST_F(ScrapeManagerTest, AVanishedSeriesGetsOneStaleMarker) {
  Make();
  world_.bodies["a:1"] = "m{x=\"1\"} 1\nm{x=\"2\"} 2\n";
  Targets({"a:1"});
  Pass(10'000);
  world_.bodies["a:1"] = "m{x=\"2\"} 3\n";
  Pass(20'000);
  world_.bodies["a:1"] = "m{x=\"1\"} 9\nm{x=\"2\"} 4\n";
  Pass(10'000);
  EXPECT_EQ(Values(kA), "1 stale 9");
  EXPECT_EQ(Values("{__name__=\"m\", instance=\"a:1\", job=\"node\", x=\"2\"}"), "2 3 3 4");
  EXPECT_EQ(Values("scrape_series_added"), "2 0 0 1");
}

TEST_F(ScrapeManagerTest, AFailedScrapeEndsEverySeriesButTheReports) {
  Make();
  world_.bodies["a:1"] = "m{x=\"1\"} 1\n";
  Targets({"a:1"});
  Pass(10'000);
  world_.bodies["a:1"] = "!connection refused";
  Pass(20'000);
  EXPECT_EQ(Values(kA), "1 stale");
  EXPECT_EQ(Values("up"), "1 0 0");
  EXPECT_EQ(manager_->Targets("")[0].last_error, "connection refused");
  // A body that cannot be read is as bad, and says where.
  world_.bodies["a:1"] = "m{x=\"1\"} 1\nm{x=} 2\n";
  Pass(10'000);
  EXPECT_EQ(Values(kA), "1 stale");
  EXPECT_EQ(manager_->Targets("")[0].last_error,
            "line 2: expected a label value in double quotes, got \"} 2\"");
  world_.bodies["a:1"] = "m{x=\"1\"} 2\n";
  Pass(10'000);
  EXPECT_EQ(Values(kA), "1 stale 2");
}

TEST_F(ScrapeManagerTest, ARemovedTargetGoesStaleAndAStopDoesNot) {
  Make();
  world_.bodies["a:1"] = "m{x=\"1\"} 1\n";
  world_.bodies["b:1"] = "n 1\n";
  Targets({"a:1", "b:1"});
  Pass(10'000);
  Targets({"b:1"});
  Pass(10'000);
  EXPECT_EQ(Values(kA), "1 stale");
  EXPECT_EQ(Values("{__name__=\"up\", instance=\"a:1\", job=\"node\"}"), "1 stale");
  EXPECT_EQ(manager_->Targets("").size(), 1u);
  manager_->Stop();
  EXPECT_EQ(Values("{__name__=\"up\", instance=\"b:1\", job=\"node\"}"), "1 1");
}

TEST_F(ScrapeManagerTest, AReloadLeavesAloneWhatDidNotChange) {
  Make();
  world_.bodies["a:1"] = "m{x=\"1\"} 1\n";
  Targets({"a:1"});
  Pass(10'000);
  manager_->ApplyJobs({std::make_shared<const Job>(job_)});
  Targets({"a:1"});
  Pass(10'000);
  EXPECT_EQ(world_.sources, 1);
  EXPECT_EQ(storage_.timelines(), 1u);
  EXPECT_EQ(Values(kA), "1 1");
}

TEST_F(ScrapeManagerTest, AReloadThatRelabelsEndsTheOldSeriesOnly) {
  Make();
  world_.bodies["a:1"] = "m{x=\"1\"} 1\nn 2\n";
  Targets({"a:1"});
  Pass(10'000);
  job_.metric_relabel = [](const Labels& labels) -> std::optional<Labels> {
    if (labels.metric_name() == "m") return std::nullopt;
    return labels;
  };
  Apply();
  Pass(10'000);
  EXPECT_EQ(Values(kA), "1 stale");
  EXPECT_EQ(Values("n"), "2 2");
  EXPECT_EQ(Values("up"), "1 1");
  EXPECT_EQ(Values("scrape_samples_post_metric_relabeling"), "2 1");
  EXPECT_EQ(Values("scrape_series_added"), "2 0");
}

TEST_F(ScrapeManagerTest, LimitsFailTheWholeScrapeByName) {
  const struct {
    Limits limits;
    const char* error;
  } kCases[] = {
      {{.samples = 1}, "sample_limit exceeded"},
      {{.labels = 3}, "label_limit exceeded"},
      {{.label_name_bytes = 7}, "label_name_length_limit exceeded"},
      {{.label_value_bytes = 3}, "label_value_length_limit exceeded"},
      {{.targets = 1}, "target_limit exceeded"},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.error);
    MemoryAppender storage;
    job_.limits = c.limits;
    Make();
    world_.bodies["a:1"] = world_.bodies["b:1"] = "m{x=\"1\"} 1\nm{x=\"2\"} 2\n";
    Targets({"a:1", "b:1"});
    Pass(10'000);
    const TargetStatus status = manager_->Targets("")[0];
    EXPECT_EQ(status.health, Health::kDown);
    EXPECT_EQ(status.last_error.find(c.error), 0u) << status.last_error;
    for (const std::string& name : storage_.SeriesNames()) {
      EXPECT_EQ(name.find("\"m\""), std::string::npos) << name;
    }
  }
}

TEST_F(ScrapeManagerTest, ExplicitTimesGoOutAsTheyAreAndBringNoStaleMarkers) {
  Make();
  world_.bodies["a:1"] = "m{x=\"1\"} 1 1000\n";
  Targets({"a:1"});
  Pass(10'000);
  world_.bodies["a:1"] = "m{x=\"1\"} 2 2000\n";
  Pass(10'000);
  world_.bodies["a:1"] = "";
  Pass(10'000);
  EXPECT_EQ(storage_.ToString(kA), "1@1000 2@2000");
  EXPECT_EQ(Values("scrape_series_added"), "1 0 0");
}

TEST_F(ScrapeManagerTest, TrackedTimesDoBringThem) {
  job_.track_timestamps_staleness = true;
  Make();
  world_.bodies["a:1"] = "m{x=\"1\"} 1 1000\n";
  Targets({"a:1"});
  Pass(10'000);
  world_.bodies["a:1"] = "";
  Pass(20'000);
  EXPECT_EQ(Values(kA), "1 stale");
}

TEST_F(ScrapeManagerTest, WithoutHonorTimestampsTheScrapesTimeIsTaken) {
  job_.honor_timestamps = false;
  Make();
  world_.bodies["a:1"] = "m{x=\"1\"} 1 1000\n";
  Targets({"a:1"});
  Pass(20'000);
  EXPECT_EQ(Values(kA), "1 1");
  EXPECT_EQ(storage_.ToString(kA).find("1000 "), std::string::npos);
}

TEST_F(ScrapeManagerTest, AHangingTargetTimesOutAndHoldsUpNobody) {
  Make();
  world_.bodies["a:1"] = "m 1\n";
  world_.bodies["b:1"] = "n 1\n";
  world_.hanging.insert("a:1");
  Targets({"a:1", "b:1"});
  Pass(30'000);
  EXPECT_EQ(Values("{__name__=\"up\", instance=\"b:1\", job=\"node\"}"), "1 1 1");
  const std::string a = Values("{__name__=\"up\", instance=\"a:1\", job=\"node\"}");
  EXPECT_TRUE(a == "0 0" || a == "0 0 0") << a;
  EXPECT_EQ(manager_->Targets("")[0].last_error, "no answer within the scrape timeout of 5000 ms");
}

TEST_F(ScrapeManagerTest, ScrapesStayOnTheirGridAndAClockThatJumpsLeavesNoHole) {
  Make();
  world_.bodies["a:1"] = "m{x=\"1\"} 1\n";
  Targets({"a:1"});
  Pass(30'000);
  const auto series = storage_.series().at(kA).samples;
  ASSERT_EQ(series.size(), 3u);
  EXPECT_EQ(series[1].t_ms - series[0].t_ms, 10'000);
  EXPECT_EQ(series[2].t_ms - series[1].t_ms, 10'000);
  const int starts = world_.starts;
  clock_.Set(clock_.NowMs() - 3'600'000);  // Someone set it back by an hour.
  Pass(30'000);
  EXPECT_EQ(world_.starts, starts + 3);
}

TEST_F(ScrapeManagerTest, ASeriesBudgetCostsNewSeriesOnly) {
  Make();
  storage_.LimitSeries(6);
  world_.bodies["a:1"] = "m{x=\"1\"} 1\nm{x=\"2\"} 2\nm{x=\"3\"} 3\n";
  Targets({"a:1"});
  Pass(10'000);
  EXPECT_EQ(Values(kA), "1");
  EXPECT_GT(manager_->metrics().series_refused_total.load(), 0u);
  storage_.LimitSeries(0);
  Pass(10'000);
  EXPECT_EQ(Values(kA), "1 1");
  EXPECT_EQ(Values("{__name__=\"m\", instance=\"a:1\", job=\"node\", x=\"3\"}").substr(0, 1), "3");
  EXPECT_EQ(Values("{__name__=\"up\", instance=\"a:1\", job=\"node\"}").back(), '1');
}

TEST_F(ScrapeManagerTest, AFullDiskFailsTheScrapeAndTheNextOneGoesOn) {
  Make();
  world_.bodies["a:1"] = "m{x=\"1\"} 1\n";
  Targets({"a:1"});
  Pass(10'000);
  storage_.FailCommits(Unavailable("no space left"));
  Pass(10'000);
  EXPECT_EQ(manager_->Targets("")[0].last_error, "storing the scrape: no space left");
  storage_.FailCommits(Status());
  Pass(10'000);
  EXPECT_EQ(Values(kA), "1 1");
}

TEST_F(ScrapeManagerTest, LinesThatComeAndGoLoseNothing) {
  Make();
  Targets({"a:1"});
  // Every subset of five lines, one after the other.
  for (int set = 0; set < 32; ++set) {
    std::string body = "# TYPE m gauge\n";
    for (int i = 0; i < 5; ++i) {
      if (set >> i & 1) StrAppend(body, "m{x=\"", i, "\"} ", set, "\n");
    }
    world_.bodies["a:1"] = body;
    Pass(10'000);
  }
  for (int i = 0; i < 5; ++i) {
    std::string want;
    bool live = false;
    for (int set = 0; set < 32; ++set) {
      const bool there = set >> i & 1;
      if (there || live) StrAppend(want, want.empty() ? "" : " ", there ? StrCat(set) : "stale");
      live = there;
    }
    EXPECT_EQ(Values(StrCat("{__name__=\"m\", instance=\"a:1\", job=\"node\", x=\"", i, "\"}")),
              want);
  }
}

TEST_F(ScrapeManagerTest, ATargetThatChurnsStartsItsTimelineOver) {
  Make();
  Targets({"a:1"});
  for (int turn = 0; turn < 10; ++turn) {
    std::string body = "steady 1\n";
    for (int i = 0; i < 500; ++i) StrAppend(body, "m{i=\"", turn * 500 + i, "\"} 1\n");
    world_.bodies["a:1"] = body;
    Pass(10'000);
  }
  EXPECT_GT(storage_.timelines(), 1u);
  EXPECT_EQ(Values("steady"), "1 1 1 1 1 1 1 1 1 1");
  for (int i = 0; i < 4500; ++i) {
    ASSERT_EQ(Values(StrCat("{__name__=\"m\", i=\"", i, "\", instance=\"a:1\", job=\"node\"}")),
              "1 stale");
  }
}

// As an agent's small frame: whoever brings it stores it, and no worker is woken. A failure, which
// is no answer, still is a worker's.
TEST_F(ScrapeManagerTest, ABriefAnswerIsStoredByWhoeverBringsIt) {
  world_.bodies["a:1"] = "m 1\n";
  world_.brief = true;
  Make();
  Targets({"a:1"});
  for (int i = 0; i < 3; ++i) {
    clock_.Advance(10'000);
    manager_->RunDue();
  }
  EXPECT_EQ(Values("up"), "1 1 1");
  EXPECT_EQ(manager_->RunReady(), 0u);
  world_.bodies["a:1"] = "!no route";
  clock_.Advance(10'000);
  manager_->RunDue();
  EXPECT_EQ(Values("up"), "1 1 1");
  EXPECT_EQ(manager_->RunReady(), 1u);
  EXPECT_EQ(Values("up"), "1 1 1 0");
  // Removed while it is at work: its series end.
  world_.bodies["a:1"] = "m 1\n";
  clock_.Advance(10'000);
  manager_->RunDue();
  Targets({});
  manager_->RunReady();
  EXPECT_EQ(Values("m"), "1 1 1 stale 1 stale");
}

// Agents that are due at one instant: what came of all is stored at once.
TEST_F(ScrapeManagerTest, BriefAnswersThatComeTogetherAreOneCommit) {
  for (const char* target : {"a:1", "b:1", "c:1"}) world_.bodies[target] = "m 1\n";
  world_.brief = true;
  std::vector<std::function<void()>> at_rest;
  at_rest_ = [&](std::function<void()> then, int64_t) { at_rest.push_back(std::move(then)); };
  Make();
  Targets({"a:1", "b:1", "c:1"});
  const auto rest = [&] {
    for (const auto& then : std::exchange(at_rest, {})) then();
  };
  const std::string up = "{__name__=\"up\", instance=\"b:1\", job=\"node\"}";
  for (int i = 0; i < 2; ++i) {
    clock_.Advance(10'000);
    manager_->RunDue();
    EXPECT_EQ(at_rest.size(), 1u);
    EXPECT_EQ(Values(up), i == 0 ? "none" : "1") << "not before the thread has nothing else to do";
    rest();
    EXPECT_EQ(Values(up), i == 0 ? "1" : "1 1");
  }
  // One of them goes meanwhile.
  clock_.Advance(10'000);
  manager_->RunDue();
  Targets({"a:1", "c:1"});
  rest();
  manager_->RunReady();
  EXPECT_EQ(Values(up), "1 1 1 stale");
  // What cannot be stored is told to each.
  storage_.FailCommits(Unavailable("the disk is full"));
  clock_.Advance(10'000);
  manager_->RunDue();
  rest();
  for (const TargetStatus& status : manager_->Targets("node")) {
    EXPECT_EQ(status.health, Health::kDown);
    EXPECT_EQ(status.last_error, "storing the scrape: the disk is full");
  }
  storage_.FailCommits(Status());
  clock_.Advance(10'000);
  manager_->RunDue();
  rest();
  EXPECT_EQ(manager_->Targets("node")[0].health, Health::kUp);
}

TEST(ScrapeManagerThreads, ScrapeAndStopInOrder) {
  MemoryAppender storage;
  World world;
  world.bodies["a:1"] = "m 1\n";
  Job job;
  job.name = "node";
  job.interval_ms = 20;
  job.timeout_ms = 20;
  ScrapeManager manager(
      {.source = [&](const Target& target, const Job&) -> Result<std::unique_ptr<Source>> {
         return std::unique_ptr<Source>(std::make_unique<FakeSource>(world, target.address));
       },
       .threads = 2},
      storage, SystemClock());
  manager.ApplyJobs({std::make_shared<const Job>(job)});
  manager.Start();
  auto groups = std::make_shared<TargetGroups>();
  (*groups)["node"].push_back({.targets = {Labels::Of({{"__address__", "a:1"}})}});
  manager.SetTargets(groups);
  while (storage.commits() < 5) std::this_thread::yield();
  manager.Stop();
  const uint64_t commits = storage.commits();
  EXPECT_EQ(storage.ToString("up").find("stale"), std::string::npos);
  manager.RunDue();
  manager.RunReady();
  EXPECT_EQ(storage.commits(), commits);
}

TEST_F(ScrapeManagerTest, AWatchedHostIsScrapedMoreOftenForAWhileAndNobodyElse) {
  world_.bodies["a:1"] = "m 1\n";
  world_.bodies["b:1"] = "m 1\n";
  Make();
  Targets({"a:1", "b:1"});
  Pass(20'000);
  const auto count = [&](const char* instance) {
    return storage_.series().at(StrCat("{__name__=\"m\", instance=\"", instance, "\", job=\"node\"}"))
        .samples.size();
  };
  const size_t a = count("a:1"), b = count("b:1");
  const auto watched = manager_->Watch("a", 100, 5'000);
  ASSERT_TRUE(watched.ok()) << watched.status().ToString();
  EXPECT_EQ(watched->urls, (std::vector<std::string>{"http://a:1/metrics"}));
  EXPECT_EQ(watched->until_ms, clock_.NowMs() + 5'000);
  Pass(5'000);
  EXPECT_NEAR(static_cast<double>(count("a:1") - a), 50, 2);
  EXPECT_LE(count("b:1") - b, 1u);
  // Then it is as it was.
  const size_t after = count("a:1");
  Pass(40'000);
  EXPECT_NEAR(static_cast<double>(count("a:1") - after), 4, 1);

  EXPECT_EQ(manager_->Watch("c", 100, 5'000).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(manager_->Watch("a", 99, 5'000).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(manager_->Watch("a", 100, 600'001).status().code(), StatusCode::kInvalidArgument);
  ASSERT_TRUE(manager_->Watch("a:1", 100, 60'000).ok());
  ASSERT_TRUE(manager_->Watch("a:1", 0, 0).ok());  // Ended.
  const size_t ended = count("a:1");
  Pass(20'000);
  EXPECT_NEAR(static_cast<double>(count("a:1") - ended), 2, 1);
}

}  // namespace
}  // namespace vedette::scrape
