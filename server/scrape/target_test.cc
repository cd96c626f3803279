#include "server/scrape/target.h"

#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <string>

#include "common/base/strings.h"

namespace vedette::scrape {
namespace {

Job Node() {
  Job job;
  job.name = "node";
  return job;
}

TEST(Target, HasJobInstanceAndUrlWithoutAnyRule) {
  const auto target =
      MakeTarget(Labels::Of({{"__address__", "db:9100"}, {"__meta_x", "1"}}), Node());
  ASSERT_TRUE(target.ok());
  EXPECT_EQ((*target)->labels, Labels::Of({{"instance", "db:9100"}, {"job", "node"}}));
  EXPECT_EQ((*target)->url, "http://db:9100/metrics");
  EXPECT_EQ((*target)->discovered_labels.Get("__scrape_interval__"), "1m");
  EXPECT_EQ((*target)->interval_ms, 60'000);
}

TEST(Target, IsMadeFromWhatTheRulesLeft) {
  Job job = Node();
  job.params = {{"module", {"http_2xx"}}, {"target", {"x"}}};
  job.metrics_path = "/probe";
  job.relabel = [](const Labels& labels) -> std::optional<Labels> {
    LabelsBuilder b(labels);
    b.Set("__param_target", std::string(labels.Get("__address__")) + "/a b");
    b.Set("instance", labels.Get("__address__"));
    b.Set("__address__", "prober:9115");
    b.Set("__scheme__", "https");
    b.Set("__scrape_interval__", "90s");
    b.Set("__scrape_timeout__", "1500ms");
    return b.Build();
  };
  const auto target = MakeTarget(Labels::Of({{"__address__", "example.org"}}), job);
  ASSERT_TRUE(target.ok()) << target.status().ToString();
  EXPECT_EQ((*target)->url, "https://prober:9115/probe?module=http_2xx&target=example.org%2Fa+b");
  EXPECT_EQ((*target)->labels.Get("instance"), "example.org");
  EXPECT_EQ((*target)->interval_ms, 90'000);
  EXPECT_EQ((*target)->timeout_ms, 1'500);
}

TEST(Target, ThatCannotBeSaysWhy) {
  const struct {
    Labels labels;
    const char* why;
  } kCases[] = {
      {Labels::Of({{"a", "b"}}), "no address"},
      {Labels::Of({{"__address__", "http://x/"}}), "\"http://x/\" is not a valid hostname"},
      {Labels::Of({{"__address__", "x"}, {"__scrape_interval__", "0s"}}), "cannot be 0"},
      {Labels::Of({{"__address__", "x"}, {"__scrape_interval__", "soon"}}),
       "error parsing scrape interval \"soon\""},
      {Labels::Of({{"__address__", "x"}, {"__scrape_timeout__", "2m"}}),
       "scrape timeout cannot be greater than scrape interval (\"2m\" > \"1m\")"},
      {Labels::Of({{"__address__", "x"}, {"__scheme__", "file"}}), "is not http, https or grpc"},
  };
  for (const auto& c : kCases) {
    const auto target = MakeTarget(c.labels, Node());
    ASSERT_FALSE(target.ok()) << c.why;
    EXPECT_NE(target.status().message().find(c.why), std::string_view::npos)
        << target.status().ToString();
  }
}

TEST(Target, SetsKeepEachIdentityOnceAndCountWhatWasDropped) {
  Job job = Node();
  job.limits.keep_dropped_targets = 1;
  job.relabel = [](const Labels& labels) -> std::optional<Labels> {
    if (labels.Get("drop") == "1") return std::nullopt;
    return labels;
  };
  const Labels a = Labels::Of({{"__address__", "a"}});
  const Labels dropped = Labels::Of({{"__address__", "c"}, {"drop", "1"}});
  const TargetSet set =
      MakeTargets({{"f:0", Labels::Of({{"zone", "x"}}), {a, a, dropped, dropped, Labels()}}}, job);
  ASSERT_EQ(set.active.size(), 1u);
  EXPECT_EQ(set.active[0]->labels.Get("zone"), "x");
  EXPECT_EQ(set.dropped_count, 2u);
  EXPECT_EQ(set.dropped.size(), 1u);
  ASSERT_EQ(set.failures.size(), 1u);
  EXPECT_EQ(set.failures[0].message().substr(0, 26), "instance 4 in group f:0: n");
}

TEST(Target, PlacesSpreadOverTheInterval) {
  std::set<int64_t> quarters;
  for (int i = 0; i < 64; ++i) {
    const auto target = MakeTarget(Labels::Of({{"__address__", StrCat("n", i)}}), Node());
    const int64_t offset = (*target)->OffsetMs(42);
    ASSERT_TRUE(offset >= 0 && offset < 60'000);
    quarters.insert(offset / 15'000);
  }
  EXPECT_EQ(quarters.size(), 4u);
}

}  // namespace
}  // namespace vedette::scrape
