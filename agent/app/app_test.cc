#include "agent/app/app.h"

#include <gtest/gtest.h>

#include "agent/collector/collector.h"
#include "common/base/status.h"
#include "common/model/metric_family.h"

namespace vedette::agent {
namespace {

TEST(App, RelaysTypesHelpsTimesAndExemplars) {
  auto collector = MakeAppCollector("shop", [] {
    return Result<FetchedPage>(
        FetchedPage{"application/openmetrics-text; version=1.0.0; charset=utf-8",
                    "# HELP shop_orders Orders taken.\n"
                    "# TYPE shop_orders counter\n"
                    "# UNIT shop_orders orders\n"
                    "shop_orders_total{kind=\"a\"} 7.0 1700000000.5 # {trace_id=\"abc\"} 1.0\n"
                    "# TYPE latency_seconds histogram\n"
                    "latency_seconds_bucket{le=\"0.1\"} 3\n"
                    "latency_seconds_bucket{le=\"+Inf\"} 4\n"
                    "latency_seconds_sum 1.5\n"
                    "latency_seconds_count 4\n"
                    "# EOF\n"});
  });
  EXPECT_EQ(collector->name(), "shop");
  MetricSink sink;
  const Status status = collector->Collect(sink);
  ASSERT_TRUE(status.ok()) << status.ToString();
  const auto families = sink.Take();
  ASSERT_EQ(families.size(), 2u);
  EXPECT_EQ(families[0].metadata.help, "Orders taken.");
  EXPECT_EQ(families[0].metadata.type, MetricType::kCounter);
  ASSERT_EQ(families[0].samples.size(), 1u);
  const FamilySample& orders = families[0].samples[0];
  EXPECT_EQ(orders.labels.metric_name(), "shop_orders_total");
  EXPECT_EQ(orders.value, 7);
  EXPECT_EQ(orders.t_ms, 1'700'000'000'500);
  ASSERT_EQ(orders.exemplars.size(), 1u);
  EXPECT_EQ(orders.exemplars[0].labels.Get("trace_id"), "abc");
  EXPECT_EQ(families[1].metadata.type, MetricType::kHistogram);
  EXPECT_EQ(families[1].samples.size(), 4u);
}

TEST(App, APageThatCannotBeReadYieldsNothing) {
  for (const char* body : {"up 1\nthis is no metric\n", "x{a=\"1\" 3\n"}) {
    auto collector = MakeAppCollector(
        "shop", [&] { return Result<FetchedPage>(FetchedPage{"text/plain", body}); });
    MetricSink sink;
    EXPECT_FALSE(collector->Collect(sink).ok());
    EXPECT_TRUE(sink.Take().empty());
  }
  auto dead = MakeAppCollector("shop", [] { return Result<FetchedPage>(Unavailable("refused")); });
  MetricSink sink;
  EXPECT_EQ(dead->Collect(sink).code(), StatusCode::kUnavailable);
}

TEST(App, ReadsEndpointFlags) {
  auto e = ParseAppEndpoint(
      "shop=http://127.0.0.1:8000/metrics?a=b,c;timeout=2s;max-body=1MB;username=u;"
      "password-file=/p;insecure-skip-verify");
  ASSERT_TRUE(e.ok()) << e.status().ToString();
  EXPECT_EQ(e->name, "shop");
  EXPECT_EQ(e->url, "http://127.0.0.1:8000/metrics?a=b,c");
  EXPECT_EQ(e->timeout_ms, 2'000);
  EXPECT_EQ(e->max_body_bytes, 1 << 20);
  EXPECT_EQ(e->username, "u");
  EXPECT_EQ(e->password_file, "/p");
  EXPECT_TRUE(e->insecure_skip_verify);

  for (const char* bad :
       {"shop", "=http://x", "shop=ftp://x", "host=http://x/metrics", "shop=http://x;timeout=2",
        "shop=http://x;colour=red", "shop=http://x;username="}) {
    SCOPED_TRACE(bad);
    auto got = ParseAppEndpoint(bad);
    ASSERT_FALSE(got.ok());
    EXPECT_EQ(got.status().code(), StatusCode::kInvalidArgument);
    EXPECT_NE(got.status().message().find(bad), std::string_view::npos);
  }
}

}  // namespace
}  // namespace vedette::agent
