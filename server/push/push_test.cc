#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/exposition/protobuf.h"
#include "common/model/histogram.h"
#include "common/model/labels.h"
#include "common/model/metric_family.h"
#include "server/push/group.h"
#include "server/push/group_path.h"
#include "server/push/push_body.h"
#include "server/push/push_pages.h"
#include "server/push/push_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/memory_appender.h"
#include "tests/support/memory_key_value.h"

namespace vedette::push {
namespace {

TEST(GroupPath, ReadsWhatClientsWrite) {
  const struct {
    const char* path;
    const char* want;
  } kCases[] = {
      {"job/backup", R"({job="backup"})"},
      {"job/backup/", R"({job="backup"})"},
      {"job/some_job/instance/some_instance", R"({instance="some_instance", job="some_job"})"},
      {"job/directory_cleaner/path@base64/L3Zhci90bXA", R"({job="directory_cleaner", path="/var/tmp"})"},
      {"job/directory_cleaner/path@base64/L3Zhci90bXA=", R"({job="directory_cleaner", path="/var/tmp"})"},
      {"job/titan/name@base64/zqDPgc6_zrzOt864zrXPjc-C", "{job=\"titan\", name=\"\u03a0\u03c1\u03bf\u03bc\u03b7\u03b8\u03b5\u03cd\u03c2\"}"},
      {"job/titan/name/%CE%A0%CF%81", "{job=\"titan\", name=\"\u03a0\u03c1\"}"},
      {"job/j/first_label@base64/=/second_label/foobar", R"({job="j", second_label="foobar"})"},
      {"job@base64/YS9i", R"({job="a/b"})"},
      {"job/a/job/b", R"({job="a"})"},
      {"job/a%2Fb/x/c+d", R"({job="a/b", x="c+d"})"},
      {"job/a/b//c/d", R"({c="d", job="a"})"},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.path);
    const Result<Labels> got = ParseGroupPath(c.path);
    ASSERT_TRUE(got.ok()) << got.status().ToString();
    EXPECT_EQ(got->ToString(), c.want);
  }
}

TEST(GroupPath, RefusesWhatIsNoKey) {
  const struct {
    const char* path;
    const char* why;
  } kCases[] = {
      {"job", "odd number"},
      {"job/a/b", "odd number"},
      {"job//instance/x", "job name is required"},
      {"job@base64/=", "job name is required"},
      {"job@base64/a$b", "illegal base64"},
      {"job/a/x@base64/abcde", "illegal base64"},
      {"job/a/__name__/x", "improper label name"},
      {"job/a/b-c/x", "improper label name"},
      {"jobs/a", "begins with job"},
      {"job/a/x/%FF", "not UTF-8"},
      {"job/%4", "escape"},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.path);
    const Result<Labels> got = ParseGroupPath(c.path);
    ASSERT_FALSE(got.ok()) << got->ToString();
    EXPECT_EQ(got.status().code(), StatusCode::kInvalidArgument);
    EXPECT_NE(got.status().message().find(c.why), std::string_view::npos) << got.status().ToString();
  }
}

class PushStoreTest : public ::testing::Test {
 protected:
  PushStoreTest() { Open(); }

  void Open(int64_t default_ttl_ms = 0, size_t max_groups = 100) {
    store_.reset();
    auto opened = PushStore::Open({.interval_ms = [] { return int64_t{15'000}; },
                                   .default_ttl_ms = default_ttl_ms,
                                   .max_groups = max_groups},
                                  key_value_, appender_, clock_);
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    store_ = *std::move(opened);
  }

  Status Push(const char* path, std::string_view body, bool replace = true,
              std::optional<int64_t> ttl_ms = std::nullopt) {
    VEDETTE_ASSIGN_OR_RETURN(const Labels key, ParseGroupPath(path));
    VEDETTE_ASSIGN_OR_RETURN(std::vector<MetricFamily> families,
                             ReadPushBody(body, "", key, PushLimits()));
    return store_->Push(key, std::move(families), replace, ttl_ms);
  }

  testing::FakeClock clock_{1'700'000'000'000};
  testing::MemoryAppender appender_;
  testing::MemoryKeyValue key_value_;
  std::unique_ptr<PushStore> store_;
};

std::string At(int64_t t_ms, std::string_view value) {
  return std::string(value) + "@" + std::to_string(t_ms);
}

TEST_F(PushStoreTest, AGroupIsThereAtOnceAndAgainEveryInterval) {
  const int64_t t = clock_.NowMs();
  ASSERT_TRUE(Push("job/backup/instance/db", "rows{job=\"mine\",table=\"a\"} 7\n").ok());
  const std::string name = R"({__name__="rows", instance="db", job="backup", table="a"})";
  EXPECT_EQ(appender_.ToString(name), At(t, "7"));
  store_->Tick();
  clock_.Advance(15'000);
  store_->Tick();
  EXPECT_EQ(appender_.ToString(name),
            At(t, "7") + " " + At(t + 1, "7") + " " + At(t + 15'000, "7"));
}

TEST_F(PushStoreTest, PutReplacesTheGroupAndPostOnlyTheSameNames) {
  const int64_t t = clock_.NowMs();
  ASSERT_TRUE(Push("job/j", "a 1\nb 2\n").ok());
  clock_.Advance(1000);
  ASSERT_TRUE(Push("job/j", "b{x=\"y\"} 3\n", /*replace=*/false).ok());
  EXPECT_EQ(appender_.ToString("a"), At(t, "1") + " " + At(t + 1000, "1"));
  EXPECT_EQ(appender_.ToString(R"({__name__="b", job="j"})"),
            At(t, "2") + " " + At(t + 1000, "stale"));
  clock_.Advance(1000);
  ASSERT_TRUE(Push("job/j", "c 4\n").ok());
  EXPECT_EQ(appender_.ToString("a"),
            At(t, "1") + " " + At(t + 1000, "1") + " " + At(t + 2000, "stale"));
  ASSERT_EQ(store_->Groups().size(), 1u);
  EXPECT_EQ(store_->Groups()[0]->families.size(), 1u);
}

TEST_F(PushStoreTest, DeletingMakesEverythingStale) {
  const int64_t t = clock_.NowMs();
  ASSERT_TRUE(Push("job/j", "a 1\n").ok());
  clock_.Advance(1000);
  ASSERT_TRUE(store_->Delete(*ParseGroupPath("job/j")).ok());
  EXPECT_EQ(appender_.ToString("a"), At(t, "1") + " " + At(t + 1000, "stale"));
  EXPECT_EQ(appender_.ToString("push_time_seconds"),
            At(t, "1.7e+09") + " " + At(t + 1000, "stale"));
  EXPECT_TRUE(store_->Delete(*ParseGroupPath("job/j")).ok());
  EXPECT_EQ(store_->size(), 0u);
}

TEST_F(PushStoreTest, ARefusedPushIsToldByItsGroup) {
  ASSERT_TRUE(Push("job/a", "# TYPE m counter\nm 1\n").ok());
  const struct {
    const char* path;
    const char* body;
    const char* why;
  } kCases[] = {
      {"job/a", "m 1 1700000000000\n", "must not have timestamps"},
      {"job/a", "x{a=\"1\"} 1\nx{a=\"1\"} 2\n", "collected before"},
      {"job/b", "# TYPE m gauge\nm 1\n", "exists as counter"},
      {"job/b", "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n# TYPE h_count gauge\nh_count{x=\"1\"} 2\n", "collides"},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.body);
    clock_.Advance(1000);
    const Status status = Push(c.path, c.body);
    ASSERT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_NE(status.message().find(c.why), std::string_view::npos) << status.ToString();
    bool told = false;
    for (const auto& group : store_->Groups()) {
      told |= !group->last_push_ok && group->failed_ms == clock_.NowMs();
    }
    EXPECT_TRUE(told);
  }
  // A type of its own may change with the push that replaces it.
  EXPECT_TRUE(Push("job/a", "# TYPE m gauge\nm 1\n").ok());
}

TEST_F(PushStoreTest, ARestartFindsEveryGroupAgain) {
  auto native = std::make_shared<Histogram>();
  native->schema = 1;
  native->count = 3;
  native->sum = 6.5;
  native->positive_spans = {{0, 2}};
  native->positive_buckets = {1, 2};
  MetricFamily family{.name = "h", .metadata = {.type = MetricType::kHistogram, .help = "H."}};
  family.samples.push_back({.labels = Labels::Of({{"__name__", "h"}, {"job", "n"}}),
                            .histogram = native});
  ASSERT_TRUE(store_->Push(*ParseGroupPath("job/n"), {family}, true, 3'600'000).ok());
  ASSERT_TRUE(Push("job/j/path@base64/L3Zhcg",
                   "# HELP a Says \\\\ a.\n# TYPE a counter\na{q=\"x\\\"y\\n\"} 1.25\n"
                   "# TYPE s summary\ns{quantile=\"0.5\"} NaN\ns_sum 2\ns_count 3\n")
                  .ok());
  const auto before = store_->Groups();
  Open();
  const auto after = store_->Groups();
  ASSERT_EQ(after.size(), before.size());
  for (size_t i = 0; i < after.size(); ++i) {
    EXPECT_EQ(GroupToBytes(*after[i]), GroupToBytes(*before[i]));
  }
  clock_.Advance(60'000);
  store_->Tick();
  EXPECT_EQ(appender_.series().at(R"({__name__="h", job="n"})").histograms.size(), 2u);
}

TEST_F(PushStoreTest, DamagedGroupsAreLeftOutAndEveryTruncationIsDamage) {
  ASSERT_TRUE(Push("job/j", "a 1\n").ok());
  const std::string whole = GroupToBytes(*store_->Groups()[0]);
  for (size_t n = 0; n + 5 < whole.size(); ++n) {
    EXPECT_FALSE(GroupFromBytes(whole.substr(0, n)).ok()) << n;
  }
  const storage::KeyValue::Change change{"push/x", "no group"};
  ASSERT_TRUE(key_value_.Apply(std::span(&change, 1), false).ok());
  Open();
  EXPECT_EQ(store_->size(), 1u);
}

TEST_F(PushStoreTest, AGroupEndsWithItsTimeToLive) {
  const int64_t t = clock_.NowMs();
  ASSERT_TRUE(Push("job/short", "a 1\n", true, 60'000).ok());
  ASSERT_TRUE(Push("job/long", "b 1\n").ok());
  clock_.Advance(59'999);
  store_->Tick();
  EXPECT_EQ(store_->size(), 2u);
  clock_.Advance(1);
  store_->Tick();
  EXPECT_EQ(store_->size(), 1u);
  EXPECT_EQ(store_->expired(), 1u);
  EXPECT_TRUE(appender_.ToString("a").ends_with(At(t + 60'000, "stale")));
}

TEST_F(PushStoreTest, AFullDiskRefusesAndChangesNothing) {
  ASSERT_TRUE(Push("job/j", "a 1\n").ok());
  key_value_.FailWrites(true);
  EXPECT_EQ(Push("job/j", "a 2\n").code(), StatusCode::kUnavailable);
  EXPECT_EQ(store_->Delete(*ParseGroupPath("job/j")).code(), StatusCode::kUnavailable);
  EXPECT_EQ(store_->Groups()[0]->families[0].samples[0].value, 1);
}

TEST_F(PushStoreTest, LimitsNameThemselves) {
  Open(0, 1);
  ASSERT_TRUE(Push("job/a", "a 1\n").ok());
  EXPECT_EQ(Push("job/b", "a 1\n").code(), StatusCode::kResourceExhausted);
  const std::string value(5000, 'x');
  const Status status = Push("job/a", "a{v=\"" + value + "\"} 1\n");
  EXPECT_NE(status.message().find("label value limit"), std::string_view::npos);
}

TEST_F(PushStoreTest, PagesShowWhatWasPushed) {
  ASSERT_TRUE(Push("job/j",
                   "# HELP h Helps.\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\n"
                   "h_sum 3\nh_count 2\n")
                  .ok());
  EXPECT_EQ(PushedText(store_->Groups()),
            "# HELP h Helps.\n# TYPE h histogram\n"
            "h_bucket{instance=\"\",job=\"j\",le=\"1.0\"} 1\n"
            "h_bucket{instance=\"\",job=\"j\",le=\"+Inf\"} 2\n"
            "h_sum{instance=\"\",job=\"j\"} 3\nh_count{instance=\"\",job=\"j\"} 2\n"
            "# HELP push_failure_time_seconds Last Unix time when changing this group in the "
            "Pushgateway failed.\n# TYPE push_failure_time_seconds gauge\n"
            "push_failure_time_seconds{instance=\"\",job=\"j\"} 0\n"
            "# HELP push_time_seconds Last Unix time when changing this group in the Pushgateway "
            "succeeded.\n# TYPE push_time_seconds gauge\n"
            "push_time_seconds{instance=\"\",job=\"j\"} 1.7e+09\n");
  const std::string json = PushedJson(store_->Groups());
  EXPECT_NE(json.find(R"("h":{"time_stamp":"2023-11-14T22:13:20.000Z","type":"HISTOGRAM","help":"Helps.","metrics":[{"labels":{"job":"j","instance":""},"buckets":{"1.0":"1","+Inf":"2"},"sum":"3","count":"2"}]})"),
            std::string::npos)
      << json;
}

TEST(PushBody, ReadsProtobufAndOpenMetrics) {
  const Labels key = *ParseGroupPath("job/j");
  MetricFamily family{.name = "c_total", .metadata = {.type = MetricType::kCounter}};
  family.samples.push_back({.labels = Labels::Of({{"__name__", "c_total"}}), .value = 4});
  const std::string body = exposition::WriteProtobuf(std::vector<MetricFamily>{family});
  auto got = ReadPushBody(body,
                          "application/vnd.google.protobuf; "
                          "proto=io.prometheus.client.MetricFamily; encoding=delimited",
                          key, {});
  ASSERT_TRUE(got.ok()) << got.status().ToString();
  ASSERT_EQ(got->size(), 1u);
  EXPECT_EQ((*got)[0].samples[0].labels.ToString(), R"({__name__="c_total", job="j"})");
  EXPECT_FALSE(ReadPushBody("no exposition at all", "", key, {}).ok());
  EXPECT_TRUE(ReadPushBody("", "", key, {})->empty());
  EXPECT_TRUE(ReadPushBody("a 1\n# EOF\n", "application/openmetrics-text; version=1.0.0", key, {}).ok());
}

}  // namespace
}  // namespace vedette::push
