#include "server/api/http/federate.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/exposition/protobuf.h"
#include "common/model/histogram.h"
#include "common/model/labels.h"
#include "common/model/matcher.h"
#include "common/model/metric_family.h"
#include "common/model/sample.h"
#include "server/api/http/call.h"
#include "tests/support/fake_clock.h"
#include "tests/support/memory_storage.h"

namespace vedette::api {
namespace {

constexpr int64_t kNow = 1'700'000'000'000;

class FederateTest : public ::testing::Test {
 protected:
  FederateTest() {
    storage_.Add(Labels::Of({{"__name__", "up"}, {"job", "a"}, {"instance", "i"}}), kNow - 1000, 1);
    storage_.Add(Labels::Of({{"__name__", "up"}, {"job", "b"}}), kNow - 2000, 0);
    storage_.Add(Labels::Of({{"__name__", "up"}, {"job", "gone"}}), kNow - 2000, kStaleNan);
    storage_.Add(Labels::Of({{"__name__", "up"}, {"job", "old"}}), kNow - 300'000, 1);
    const auto histogram = [](Histogram::ResetHint hint, double count) {
      auto h = std::make_shared<Histogram>();
      h->schema = 2;
      h->count = count;
      h->sum = 5;
      h->positive_spans = {{1, 1}};
      h->positive_buckets = {count};
      h->reset_hint = hint;
      return h;
    };
    using Hint = Histogram::ResetHint;
    const auto up = [](const std::string& job) {
      return Labels::Of({{"__name__", "up"}, {"job", job}});
    };
    storage_.Add(up("h"), kNow, histogram(Hint::kUnknown, 3));
    storage_.Add(up("g"), kNow, histogram(Hint::kGauge, 2.5));
    auto custom = histogram(Hint::kUnknown, 3);
    custom->schema = Histogram::kCustomSchema;
    custom->custom_values = {1, 2};
    storage_.Add(up("c"), kNow, custom);
  }

  Reply Ask(std::string accept) const {
    const ParseSelector parse = [](std::string_view text) -> Result<std::vector<Matcher>> {
      return std::vector<Matcher>{Matcher::Equal("__name__", text)};
    };
    const FederateDoor door(
        storage_, parse, 300'000,
        [] { return Labels::Of({{"job", "outside"}, {"region", "r"}}); }, clock_);
    Call call;
    call.params = {{"match[]", "up"}};
    call.accept = std::move(accept);
    return door.Federate(call);
  }

  MemoryStorage storage_;
  testing::FakeClock clock_{kNow};
};

TEST_F(FederateTest, TextHasFloatsAlone) {
  const Reply reply = Ask("text/plain");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body,
            "# TYPE up untyped\n"
            "up{instance=\"i\",job=\"a\",region=\"r\"} 1 1699999999000\n"
            "up{instance=\"\",job=\"b\",region=\"r\"} 0 1699999998000\n");
}

TEST_F(FederateTest, ProtobufHasHistogramsToo) {
  const Reply reply = Ask(
      "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited");
  EXPECT_NE(reply.content_type.find("application/vnd.google.protobuf"), std::string::npos);
  std::string all;
  const Status read = exposition::ParseProtobuf(reply.body, {}, [&](MetricFamily& family) {
    all += std::string(MetricTypeName(family.metadata.type)) + "\n";
    for (const FamilySample& s : family.samples) {
      all += s.labels.ToString() + " ";
      if (s.histogram != nullptr) {
        all += "count " + std::to_string(s.histogram->count) + " sum " +
               std::to_string(s.histogram->sum);
      } else {
        all += std::to_string(s.value);
      }
      all += " @" + std::to_string(s.t_ms.value_or(0)) + "\n";
    }
    return Status();
  });
  ASSERT_TRUE(read.ok()) << read.ToString();
  EXPECT_EQ(all,
            "unknown\n"
            "{__name__=\"up\", instance=\"i\", job=\"a\", region=\"r\"} 1.000000 "
            "@1699999999000\n"
            "{__name__=\"up\", job=\"b\", region=\"r\"} 0.000000 @1699999998000\n"
            "histogram\n"
            "{__name__=\"up\", job=\"h\", region=\"r\"} count 3.000000 sum 5.000000 "
            "@1700000000000\n"
            "gaugehistogram\n"
            "{__name__=\"up\", job=\"g\", region=\"r\"} count 2.500000 sum 5.000000 "
            "@1700000000000\n");
  // An instance that is not there is said to be empty: the scraper adds none.
  size_t instances = 0;
  for (size_t at = 0; (at = reply.body.find("instance", at)) != std::string::npos; ++at) ++instances;
  EXPECT_EQ(instances, 4u);
}

}  // namespace
}  // namespace vedette::api
