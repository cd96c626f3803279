#include "server/discovery/manager.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <fstream>

#include "common/base/mutex.h"
#include "tests/support/temp_dir.h"

namespace vedette::discovery {
namespace {

// Waits for a published snapshot that satisfies a condition.
class Watcher {
 public:
  void Take(TargetGroupsSnapshot snapshot) VEDETTE_EXCLUDES(mu_) {
    MutexLock lock(mu_);
    last_ = std::move(snapshot);
    ++published_;
    changed_.NotifyAll();
  }
  template <typename F>
  bool Until(F condition) VEDETTE_EXCLUDES(mu_) {
    MutexLock lock(mu_);
    while (last_ == nullptr || !condition(*last_)) {
      if (!changed_.WaitFor(mu_, 10'000)) return false;
    }
    return true;
  }
  int published() VEDETTE_EXCLUDES(mu_) {
    MutexLock lock(mu_);
    return published_;
  }

 private:
  Mutex mu_;
  CondVar changed_;
  TargetGroupsSnapshot last_ VEDETTE_GUARDED_BY(mu_);
  int published_ VEDETTE_GUARDED_BY(mu_) = 0;
};

void Write(const std::string& path, const std::string& text) {
  const std::string beside = path + ".tmp";
  std::ofstream(beside) << text;
  std::rename(beside.c_str(), path.c_str());
}

std::string Addresses(const TargetGroups& all, const std::string& job) {
  auto found = all.find(job);
  if (found == all.end()) return "no such job";
  std::string out;
  for (const TargetGroup& group : found->second) {
    for (const Labels& target : group.targets) {
      out += std::string(target.Get("__address__")) + " ";
    }
  }
  return out;
}

TEST(DiscoveryManager, PublishesStaticTargetsWithTheirLabels) {
  Watcher seen;
  DiscoveryManager manager({.publish = [&](auto s) { seen.Take(std::move(s)); }, .debounce_ms = 1});
  config::DiscoveryConfig config;
  config.static_configs = {{{"a:1", "b:2"}, Labels::Of({{"env", "prod"}})}};
  ASSERT_TRUE(manager.ApplyConfig({{"node", config}}).ok());
  EXPECT_TRUE(seen.Until([](const TargetGroups& all) {
    return Addresses(all, "node") == "a:1 b:2 " && all.at("node")[0].labels.Get("env") == "prod" &&
           all.at("node")[0].source == "static/0";
  }));
  ASSERT_TRUE(manager.ApplyConfig({}).ok());
  EXPECT_TRUE(seen.Until([](const TargetGroups& all) { return all.empty(); }));
}

TEST(DiscoveryManager, SeesAChangedFileLongBeforeTheInterval) {
  vedette::testing::TempDir dir;
  const std::string file = dir.path() + "/web.json";
  Write(file, R"([{"targets": ["a:1"], "labels": {"env": "x"}}])");
  Watcher seen;
  std::atomic<int> failures = 0;
  DiscoveryManager manager(
      {.publish = [&](auto s) { seen.Take(std::move(s)); },
       .events = {.refresh_failed = [&](auto, auto, const Status&) { ++failures; }},
       .debounce_ms = 1});
  config::DiscoveryConfig config;
  config.dynamic = {
      config::FileSdConfig{{dir.path() + "/*.json", dir.path() + "/*.yml"}, 3'600'000}};
  ASSERT_TRUE(manager.ApplyConfig({{"web", config}}).ok());
  EXPECT_TRUE(seen.Until([&](const TargetGroups& all) {
    return Addresses(all, "web") == "a:1 " &&
           all.at("web")[0].labels.Get("__meta_filepath") == file;
  }));

  Write(file, R"([{"targets": ["b:1"]}])");
  EXPECT_TRUE(seen.Until([](const TargetGroups& all) { return Addresses(all, "web") == "b:1 "; }));

  // A broken file keeps what it had, while its neighbour is read.
  Write(file, "[{targets: ");
  Write(dir.path() + "/more.yml", "- targets: ['c:1']\n");
  EXPECT_TRUE(
      seen.Until([](const TargetGroups& all) { return Addresses(all, "web") == "c:1 b:1 "; }));
  EXPECT_GT(failures, 0);

  std::remove(file.c_str());
  EXPECT_TRUE(seen.Until([](const TargetGroups& all) { return Addresses(all, "web") == "c:1 "; }));
}

TEST(DiscoveryManager, HttpKeepsTheOldListWhenTheServerFails) {
  Watcher seen;
  Watcher failed;
  std::atomic<int> calls = 0;
  std::string interval;
  DiscoveryManager manager(
      {.publish = [&](auto s) { seen.Take(std::move(s)); },
       .http = [&](const HttpCall& asked) -> Result<HttpAnswer> {
         const int call = ++calls;
         if (call == 1) interval = asked.headers.at("X-Prometheus-Refresh-Interval-Seconds");
         if (call == 2) return Unavailable("down");
         return HttpAnswer{
             200, call == 1 ? R"([{"targets": ["a:1"]}])" : R"([{"targets": ["z:1"]}])"};
       },
       .events = {.refresh_failed =
                      [&](std::string_view mechanism, std::string_view job, const Status&) {
                        EXPECT_EQ(mechanism, "http");
                        EXPECT_EQ(job, "api");
                        failed.Take(std::make_shared<const TargetGroups>());
                      }},
       .debounce_ms = 0});
  config::DiscoveryConfig config;
  config.dynamic = {config::HttpSdConfig{"http://sd/targets", 20}};
  ASSERT_TRUE(manager.ApplyConfig({{"api", config}}).ok());
  EXPECT_TRUE(failed.Until([](const TargetGroups&) { return true; }));
  EXPECT_NE(Addresses(*manager.snapshot(), "api"), "");
  EXPECT_TRUE(seen.Until([](const TargetGroups& all) {
    return Addresses(all, "api") == "z:1 " &&
           all.at("api")[0].labels.Get("__meta_url") == "http://sd/targets";
  }));
  manager.Stop();
  EXPECT_EQ(interval, "0.02");
}

TEST(DiscoveryManager, RefusesWhatItDoesNotHaveAndChangesNothing) {
  DiscoveryManager manager({});
  config::DiscoveryConfig config;
  config.dynamic = {config::Ec2SdConfig{}};
  const Status s = manager.ApplyConfig({{"cloud", config}});
  EXPECT_EQ(s.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(s.message().find("job \"cloud\""), std::string_view::npos);
  EXPECT_TRUE(manager.snapshot()->empty());
}

TEST(DiscoveryManager, PublishesNothingAfterStop) {
  Watcher seen;
  DiscoveryManager manager({.publish = [&](auto s) { seen.Take(std::move(s)); }, .debounce_ms = 0});
  manager.Stop();
  EXPECT_EQ(manager.ApplyConfig({}).code(), StatusCode::kCancelled);
  EXPECT_EQ(seen.published(), 0);
  manager.Stop();  // Twice is once.
}

}  // namespace
}  // namespace vedette::discovery
