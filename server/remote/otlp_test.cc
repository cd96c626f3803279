#include "server/remote/otlp.h"

#include <gtest/gtest.h>

#include <bit>
#include <map>
#include <string>
#include <vector>

#include "common/model/labels.h"
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

TEST(Otlp, RefusesCutMessages) {
  OtlpRequest request;
  const std::string whole = Request(Metric("x", "", 5, Message(Time)));
  for (size_t n = 1; n < whole.size(); ++n) {
    EXPECT_FALSE(request.Read(std::string_view(whole).substr(0, n)).ok()) << n;
  }
}

}  // namespace
}  // namespace vedette::remote
