#include "server/remote/otlp.h"

#include <gtest/gtest.h>

#include <bit>
#include <map>
#include <string>
#include <vector>

#include "common/model/labels.h"
#include "server/remote/otlp_json.h"
#include "server/remote/protobuf_writer.h"

namespace vedette::remote {
namespace {

// A message written by `fill`.
template <typename Fill>
std::string Message(Fill fill) {
  std::string out;
  ProtobufWriter w(&out);
  fill(w);
  return out;
}

std::string Attribute(std::string_view name, std::string_view value) {
  return Message([&](ProtobufWriter& w) {
    w.Bytes(1, name);
    w.Message(2, Message([&](ProtobufWriter& v) { v.Bytes(1, value); }));
  });
}

// A field of eight bytes.
void Time(ProtobufWriter& w) { w.Real(3, std::bit_cast<double>(uint64_t{5'000'000'000})); }

std::string Request(const std::string& metric) {
  return Message([&](ProtobufWriter& w) {
    w.Message(1, Message([&](ProtobufWriter& resource) {
                resource.Message(1, Message([&](ProtobufWriter& r) {
                                   r.Message(1, Attribute("service.name", "shop"));
                                   r.Message(1, Attribute("service.namespace", "eu"));
                                   r.Message(1, Attribute("cloud.region", "north"));
                                 }));
                resource.Message(2, Message([&](ProtobufWriter& s) { s.Message(2, metric); }));
              }));
  });
}

std::string Metric(std::string_view name, std::string_view unit, uint32_t kind,
                   const std::string& point, uint64_t temporality = 2) {
  return Message([&](ProtobufWriter& w) {
    w.Bytes(1, name);
    w.Bytes(3, unit);
    w.Message(kind, Message([&](ProtobufWriter& d) {
                d.Message(1, point);
                d.Varint(2, temporality);
                if (kind == 7) d.Varint(3, 1);
              }));
  });
}

std::map<std::string, double> Read(OtlpRequest& request, const std::string& metric) {
  const Status status = request.Read(Request(metric));
  EXPECT_TRUE(status.ok()) << status.ToString();
  std::map<std::string, double> out;
  for (const auto& s : request.series()) {
    EXPECT_EQ(s.samples[0].t_ms, 5000);
    out[std::string(s.labels.metric_name()) + s.labels.WithoutName().ToString()] =
        s.samples[0].value;
  }
  return out;
}

TEST(Otlp, AMonotonicSumGetsItsUnitAndTotal) {
  OtlpRequest request;
  const std::string point = Message([](ProtobufWriter& w) {
    Time(w);
    w.Real(4, 9);
    w.Message(7, Attribute("http.method", "GET"));
  });
  const std::map<std::string, double> want = {
      {R"(http_time_seconds_total{http_method="GET", job="eu/shop"})", 9},
      {R"(target_info{cloud_region="north", job="eu/shop"})", 1}};
  EXPECT_EQ(Read(request, Metric("http.time", "s", 7, point)), want);
  EXPECT_EQ(request.metadata()[0].second.type, MetricType::kCounter);
}

TEST(Otlp, AHistogramBecomesCumulativeBuckets) {
  OtlpRequest request;
  const std::string point = Message([](ProtobufWriter& w) {
    Time(w);
    w.Real(4, std::bit_cast<double>(uint64_t{6}));
    w.Real(5, 7.5);
    const auto packed = [](std::vector<uint64_t> bits) {
      return Message([&](ProtobufWriter& p) {
        for (const uint64_t b : bits) p.Fixed64(b);
      });
    };
    w.Bytes(6, packed({1, 2, 3}));
    w.Bytes(7, packed({std::bit_cast<uint64_t>(0.5), std::bit_cast<uint64_t>(1.0)}));
  });
  std::map<std::string, double> got = Read(request, Metric("lat", "", 9, point));
  got.erase(R"(target_info{cloud_region="north", job="eu/shop"})");
  const std::map<std::string, double> want = {{R"(lat_bucket{job="eu/shop", le="0.5"})", 1},
                                              {R"(lat_bucket{job="eu/shop", le="1.0"})", 3},
                                              {R"(lat_bucket{job="eu/shop", le="+Inf"})", 6},
                                              {R"(lat_count{job="eu/shop"})", 6},
                                              {R"(lat_sum{job="eu/shop"})", 7.5}};
  EXPECT_EQ(got, want);
}

TEST(Otlp, DeltaTemporalityIsRejectedByName) {
  OtlpRequest request;
  const std::string point = Message(Time);
  EXPECT_TRUE(Read(request, Metric("x", "", 7, point, 1)).empty());
  EXPECT_EQ(request.rejected(), 1u);
  EXPECT_NE(request.rejected_reason().find("delta"), std::string::npos);
}

TEST(Otlp, AnExponentialHistogramBecomesANativeOne) {
  OtlpRequest request;
  const auto buckets = [](int64_t offset, std::vector<uint64_t> counts) {
    return Message([&](ProtobufWriter& w) {
      w.Zigzag(1, offset);
      w.Bytes(2, Message([&](ProtobufWriter& p) {
                for (const uint64_t c : counts) p.Raw(c);
              }));
    });
  };
  const std::string point = Message([&](ProtobufWriter& w) {
    w.Real(2, std::bit_cast<double>(uint64_t{4'000'000'000}));
    Time(w);
    w.Real(4, std::bit_cast<double>(uint64_t{10}));
    w.Real(5, 12.5);
    w.Zigzag(6, 9);  // Finer than the finest: two buckets become one.
    w.Real(7, std::bit_cast<double>(uint64_t{1}));
    w.Message(8, buckets(-2, {1, 2, 0, 3, 0, 0, 2}));
    w.Message(9, buckets(0, {1}));
  });
  ASSERT_TRUE(request.Read(Request(Metric("lat", "s", 10, point))).ok());
  ASSERT_FALSE(request.series().empty());
  const storage::SeriesBatch& s = request.series()[0];
  EXPECT_EQ(s.labels.metric_name(), "lat_seconds");
  ASSERT_EQ(s.histograms.size(), 1u);
  ASSERT_EQ(s.histogram_starts.size(), 1u);
  EXPECT_EQ(s.histogram_starts[0], 4000);
  const Histogram& h = *s.histograms[0].histogram;
  EXPECT_EQ(h.schema, 8);
  EXPECT_EQ(h.count, 10);
  EXPECT_EQ(h.zero_count, 1);
  EXPECT_GT(h.zero_threshold, 0);
  // Indexes -2..4 at scale 9 are -1, 0, 1, 2 at scale 8, and one more in Prometheus' counting.
  EXPECT_EQ(h.positive_buckets, (std::vector<double>{3, 3, 2}));
  EXPECT_EQ(h.positive_spans, (std::vector<Histogram::Span>{{0, 2}, {1, 1}}));
  EXPECT_EQ(h.negative_buckets, (std::vector<double>{1}));
  EXPECT_EQ(h.negative_spans, (std::vector<Histogram::Span>{{1, 1}}));
}

TEST(OtlpJson, SaysTheSameAsProtobuf) {
  const auto protobuf = OtlpJsonToProtobuf(R"({
    "resourceMetrics": [{
      "resource": {"attributes": [
        {"key": "service.name", "value": {"stringValue": "shop"}},
        {"key": "pod.count", "value": {"intValue": "3"}}], "droppedAttributesCount": 0},
      "scopeMetrics": [{"scope": {"name": "lib", "attributes": [{"x": [1, {"y": 2}]}]},
        "metrics": [
          {"name": "http.time", "unit": "s", "sum": {
            "aggregationTemporality": "AGGREGATION_TEMPORALITY_CUMULATIVE", "isMonotonic": true,
            "dataPoints": [{"timeUnixNano": "5000000000", "startTimeUnixNano": "1000000000",
                            "asInt": "9"}]}},
          {"name": "temp", "gauge": {"data_points": [{"time_unix_nano": 5000000000,
                                                       "asDouble": "NaN"}]}},
          {"name": "lat", "histogram": {"aggregationTemporality": 2, "dataPoints": [
            {"timeUnixNano": "5000000000", "count": "3", "sum": 0,
             "bucketCounts": ["1", 2], "explicitBounds": [0.5]}]}}]}]}]})");
  ASSERT_TRUE(protobuf.ok()) << protobuf.status().ToString();
  OtlpRequest request;
  ASSERT_TRUE(request.Read(*protobuf).ok());
  EXPECT_EQ(request.rejected(), 0u) << request.rejected_reason();
  std::vector<std::string> names;
  for (const auto& s : request.series()) names.push_back(s.labels.ToString());
  const std::vector<std::string> want = {
      R"({__name__="http_time_seconds_total", job="shop"})",
      R"({__name__="temp", job="shop"})",
      R"({__name__="lat_count", job="shop"})",
      R"({__name__="lat_sum", job="shop"})",
      R"({__name__="lat_bucket", job="shop", le="0.5"})",
      R"({__name__="lat_bucket", job="shop", le="+Inf"})",
      R"({__name__="target_info", job="shop", pod_count="3"})"};
  EXPECT_EQ(names, want);
  EXPECT_EQ(request.series()[0].samples[0].value, 9);
  EXPECT_EQ(request.series()[0].sample_starts[0], 1000);
}

TEST(OtlpJson, WhatIsWrongIsNamed) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "not JSON"},
      {"[]", "object"},
      {"{\"resourceMetrics\": [", "not JSON"},
      {R"({"resourceMetrics": 3})", "resourceMetrics"},
      {R"({"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": 7}]}]}]})", "name"},
      {R"({"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"sum": {"dataPoints":
          [{"timeUnixNano": "soon"}]}}]}]}]})",
       "timeUnixNano"},
      {"{\"x\": " + std::string(10'000, '[') + std::string(10'000, ']') + "}", "nested"}};
  for (const auto& [text, word] : cases) {
    const auto got = OtlpJsonToProtobuf(text);
    ASSERT_FALSE(got.ok()) << text.substr(0, 80);
    EXPECT_NE(got.status().message().find(word), std::string::npos) << got.status().ToString();
  }
}

TEST(Otlp, RefusesCutMessages) {
  OtlpRequest request;
  const std::string whole = Request(Metric("x", "", 5, Message(Time)));
  for (size_t n = 1; n < whole.size(); ++n) {
    EXPECT_FALSE(request.Read(std::string_view(whole).substr(0, n)).ok()) << n;
  }
}

}  // namespace
}  // namespace vedette::remote
