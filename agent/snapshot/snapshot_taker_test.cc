#include "agent/snapshot/snapshot_taker.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <thread>

#include "agent/collector/collector.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/model/metric_family.h"
#include "common/model/snapshot.h"
#include "tests/support/fake_clock.h"

namespace vedette::agent {
namespace {

// A door that collectors wait behind until a test opens it.
class Gate {
 public:
  void Open() {
    MutexLock lock(mu_);
    open_ = true;
    changed_.NotifyAll();
  }
  void Pass() {
    MutexLock lock(mu_);
    ++waiting_;
    changed_.NotifyAll();
    while (!open_) changed_.Wait(mu_);
  }
  void AwaitWaiting(int n) {
    MutexLock lock(mu_);
    while (waiting_ < n) changed_.Wait(mu_);
  }

 private:
  Mutex mu_;
  CondVar changed_;
  bool open_ VEDETTE_GUARDED_BY(mu_) = false;
  int waiting_ VEDETTE_GUARDED_BY(mu_) = 0;
};

class Fake final : public Collector {
 public:
  Fake(std::string name, std::function<Status(MetricSink&)> body)
      : name_(std::move(name)), body_(std::move(body)) {}
  std::string_view name() const override { return name_; }
  Status Collect(MetricSink& sink) override { return body_(sink); }

 private:
  std::string name_;
  std::function<Status(MetricSink&)> body_;
};

std::shared_ptr<Collector> Good(const std::string& name, std::atomic<int>* runs = nullptr) {
  return std::make_shared<Fake>(name, [name, runs](MetricSink& sink) {
    if (runs != nullptr) ++*runs;
    sink.Gauge(name + "_value", "A value.", 1);
    return Status();
  });
}

const CollectorRun& RunOf(const TakenSnapshot& taken, std::string_view name) {
  for (const CollectorRun& r : taken.runs) {
    if (r.name == name) return r;
  }
  static const CollectorRun none;
  ADD_FAILURE() << "no run of " << name;
  return none;
}

bool HasFamily(const TakenSnapshot& taken, std::string_view name) {
  for (const auto& s : taken.snapshot.sources) {
    for (const auto& f : s.families) {
      if (f.name == name) return true;
    }
  }
  return false;
}

TEST(SnapshotTaker, AFailureCostsOnlyItself) {
  SnapshotTaker taker(
      {.run_id = 5},
      {{.name = "host",
        .collectors = {Good("a"),
                       std::make_shared<Fake>("b",
                                              [](MetricSink& sink) {
                                                sink.Gauge("b_half", "", 1);
                                                return NotFound("no file");
                                              }),
                       std::make_shared<Fake>(
                           "c", [](MetricSink&) -> Status { throw std::runtime_error("oops"); })}},
       {.name = "app",
        .kind = SourceState::Kind::kApplication,
        .address = "http://x",
        .collectors = {
            std::make_shared<Fake>("app", [](MetricSink&) { return Unavailable("refused"); })}}});
  auto taken = taker.Take({});
  ASSERT_TRUE(taken.ok()) << taken.status().ToString();
  const TakenSnapshot& t = **taken;
  EXPECT_EQ(t.snapshot.run_id, 5u);
  EXPECT_EQ(t.snapshot.sequence, 1u);
  ASSERT_EQ(t.snapshot.sources.size(), 2u);
  EXPECT_TRUE(t.snapshot.sources[0].state.up);
  EXPECT_TRUE(HasFamily(t, "a_value"));
  EXPECT_TRUE(HasFamily(t, "b_half"));  // What it found before it failed is kept.
  EXPECT_TRUE(RunOf(t, "a").success);
  EXPECT_NE(RunOf(t, "b").error.find("no file"), std::string::npos);
  EXPECT_NE(RunOf(t, "c").error.find("oops"), std::string::npos);
  EXPECT_FALSE(t.snapshot.sources[1].state.up);
  EXPECT_NE(t.snapshot.sources[1].state.error.find("refused"), std::string::npos);
  EXPECT_EQ(t.snapshot.sources[1].state.address, "http://x");
}

TEST(SnapshotTaker, AHangingCollectorIsLeftBehindAndNotStartedTwice) {
  Gate gate;
  std::atomic<int> hung = 0;
  {
    std::vector<std::shared_ptr<Collector>> collectors;
    // More that hang than there are threads, before those that do not.
    for (int i = 0; i < 3; ++i) {
      collectors.push_back(std::make_shared<Fake>("hang" + std::to_string(i), [&](MetricSink&) {
        ++hung;
        gate.Pass();
        return Status();
      }));
    }
    collectors.push_back(Good("a"));
    collectors.push_back(Good("b"));
    SnapshotTaker taker({.threads = 2},
                        {{.name = "host", .deadline_ms = 400, .collectors = collectors}});
    for (int round = 0; round < 2; ++round) {
      auto taken = taker.Take({});
      ASSERT_TRUE(taken.ok());
      EXPECT_TRUE(RunOf(**taken, "a").success) << RunOf(**taken, "a").error;
      EXPECT_TRUE(RunOf(**taken, "b").success) << RunOf(**taken, "b").error;
      EXPECT_FALSE(RunOf(**taken, "hang0").success);
      EXPECT_EQ(hung, 3);
    }
    gate.Open();
  }
}

TEST(SnapshotTaker, ACollectorThatComesBackIsRunAgain) {
  Gate gate;
  std::atomic<int> runs = 0;
  Gate returned;
  SnapshotTaker taker({}, {{.name = "host",
                            .deadline_ms = 20,
                            .collectors = {std::make_shared<Fake>("slow", [&](MetricSink& sink) {
                              if (++runs == 1) gate.Pass();
                              sink.Gauge("slow_value", "", 1);
                              return Status();
                            })}}});
  auto taken = taker.Take({});
  ASSERT_TRUE(taken.ok());
  EXPECT_FALSE(RunOf(**taken, "slow").success);
  gate.Open();
  // Its thread needs a moment to end.
  for (;;) {
    taken = taker.Take({});
    ASSERT_TRUE(taken.ok());
    if (RunOf(**taken, "slow").success) break;
  }
  EXPECT_EQ(runs, 2);
  EXPECT_TRUE(HasFamily(**taken, "slow_value"));
}

TEST(SnapshotTaker, WhoeverAsksAtTheSameMomentSharesOneCollection) {
  Gate gate;
  std::atomic<int> runs = 0;
  SnapshotTaker taker(
      {}, {{.name = "host", .collectors = {std::make_shared<Fake>("a", [&](MetricSink&) {
                              ++runs;
                              gate.Pass();
                              return Status();
                            })}}});
  std::shared_ptr<const TakenSnapshot> got[3];
  std::vector<std::thread> callers;
  callers.emplace_back([&] { got[0] = *taker.Take({}); });
  gate.AwaitWaiting(1);
  std::atomic<int> asking = 0;
  for (int i = 1; i < 3; ++i) {
    callers.emplace_back([&, i] {
      ++asking;
      got[i] = *taker.Take({.max_age_ms = 60'000});
    });
  }
  while (asking < 2) std::this_thread::yield();
  gate.Open();
  for (std::thread& t : callers) t.join();
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(got[0], got[1]);
  EXPECT_EQ(got[0], got[2]);
}

TEST(SnapshotTaker, AYoungSnapshotIsGoodEnough) {
  testing::FakeClock clock;
  std::atomic<int> runs = 0;
  SnapshotTaker taker({.clock = &clock}, {{.name = "host", .collectors = {Good("a", &runs)}}});
  auto first = taker.Take({});
  clock.Advance(400);
  auto second = taker.Take({.max_age_ms = 500});
  EXPECT_EQ(*first, *second);
  clock.Advance(101);
  auto third = taker.Take({.max_age_ms = 500});
  EXPECT_NE(*first, *third);
  EXPECT_EQ((*third)->snapshot.sequence, 2u);
  EXPECT_EQ((*third)->snapshot.t_ms - (*first)->snapshot.t_ms, 501);
  EXPECT_EQ(runs, 2);
}

TEST(SnapshotTaker, ChoosesSourcesAndCollectors) {
  SnapshotTaker taker(
      {}, {{.name = "host", .collectors = {Good("a"), Good("b")}},
           {.name = "mysql", .kind = SourceState::Kind::kMysql, .collectors = {Good("mysql")}}});
  auto only_a = taker.Take({.collectors = {"a"}});
  ASSERT_TRUE(only_a.ok());
  EXPECT_TRUE(HasFamily(**only_a, "a_value"));
  EXPECT_FALSE(HasFamily(**only_a, "b_value"));
  EXPECT_EQ((*only_a)->snapshot.sequence, 0u);  // Not one of those that servers count.
  auto not_a = taker.Take({.exclude_collectors = {"a"}});
  EXPECT_FALSE(HasFamily(**not_a, "a_value"));
  EXPECT_TRUE(HasFamily(**not_a, "mysql_value"));
  auto mysql = taker.Take({.sources = {"mysql"}});
  EXPECT_EQ((*mysql)->snapshot.sources.size(), 1u);
  auto unknown = taker.Take({.collectors = {"nosuch"}});
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.status().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(unknown.status().message().find("\"nosuch\""), std::string_view::npos);
}

TEST(SnapshotTaker, TheAgentsOwnMetricsAreOfTheHost) {
  SnapshotTaker taker(
      {.self = [](const std::vector<CollectorRun>& runs,
                  MetricSink& sink) { sink.Gauge("runs", "", static_cast<double>(runs.size())); }},
      {{.name = "host", .collectors = {Good("a")}}});
  EXPECT_TRUE(HasFamily(**taker.Take({}), "runs"));
}

}  // namespace
}  // namespace vedette::agent
