#include "agent/service/pages.h"

#include <gtest/gtest.h>

#include "agent/collector/collector.h"
#include "agent/snapshot/snapshot_taker.h"
#include "common/base/status.h"
#include "common/http/router.h"
#include "common/model/metric_family.h"
#include "common/model/snapshot.h"

namespace vedette::agent {
namespace {

class Fake final : public Collector {
 public:
  explicit Fake(std::string name) : name_(std::move(name)) {}
  std::string_view name() const override { return name_; }
  Status Collect(MetricSink& sink) override {
    sink.Gauge(name_ + "_value", "A value.", 1);
    sink.Counter("process_cpu_seconds_total", "Of whom?", 2);
    return {};
  }

 private:
  std::string name_;
};

class PagesTest : public ::testing::Test {
 protected:
  PagesTest()
      : taker_({}, {{.name = "host",
                     .collectors = {std::make_shared<Fake>("a"), std::make_shared<Fake>("b")}},
                    {.name = "shop",
                     .kind = SourceState::Kind::kApplication,
                     .collectors = {std::make_shared<Fake>("shop")}}}),
        router_(MakePages(taker_, "/metrics")) {}

  http::Response Get(const std::string& target, const std::string& accept = "") {
    http::Request request;
    request.method = "GET";
    request.target = target;
    if (!accept.empty()) request.headers.Set("Accept", accept);
    EXPECT_TRUE(http::ParseTarget(request).ok());
    http::Response response;
    router_.Dispatch(request, response);
    return response;
  }

  SnapshotTaker taker_;
  http::Router router_;
};

TEST_F(PagesTest, ShowsEverySourceWithoutASeriesTwice) {
  const http::Response page = Get("/metrics");
  EXPECT_EQ(page.status, 200);
  EXPECT_NE(page.headers.Get("Content-Type").find("text/plain; version=0.0.4"),
            std::string_view::npos);
  EXPECT_NE(page.body.find("\na_value 1\n"), std::string::npos) << page.body;
  EXPECT_NE(page.body.find("shop_value{source=\"shop\"} 1\n"), std::string::npos);
  EXPECT_NE(page.body.find("process_cpu_seconds_total{source=\"shop\"} 2\n"), std::string::npos);
  // One family, one TYPE line.
  const std::string type = "# TYPE process_cpu_seconds_total";
  EXPECT_EQ(page.body.find(type), page.body.rfind(type));
}

TEST_F(PagesTest, CollectsWhatIsAskedFor) {
  EXPECT_EQ(Get("/metrics?collect[]=a").body.find("b_value"), std::string::npos);
  EXPECT_NE(Get("/metrics?collect[]=a").body.find("a_value"), std::string::npos);
  EXPECT_EQ(Get("/metrics?exclude[]=a").body.find("a_value"), std::string::npos);
  EXPECT_EQ(Get("/metrics?collect[]=a&exclude[]=b").status, 400);
  EXPECT_EQ(Get("/metrics?collect[]=nosuch").status, 400);
  EXPECT_EQ(Get("/metrics?source[]=shop").body.find("a_value"), std::string::npos);
}

TEST_F(PagesTest, SpeaksOpenMetricsWhenAsked) {
  const http::Response page = Get("/metrics", "application/openmetrics-text;version=1.0.0");
  EXPECT_TRUE(page.headers.Get("Content-Type").starts_with("application/openmetrics-text"));
  EXPECT_TRUE(page.body.ends_with("# EOF\n"));
}

TEST_F(PagesTest, LeadsToTheMetricsAndIsHealthy) {
  EXPECT_NE(Get("/").body.find("href=\"/metrics\""), std::string::npos);
  EXPECT_EQ(Get("/-/healthy").status, 200);
  EXPECT_EQ(Get("/nosuch").status, 404);
}

}  // namespace
}  // namespace vedette::agent
