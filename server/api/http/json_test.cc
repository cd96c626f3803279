#include "server/api/http/json.h"

#include <cmath>
#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "common/model/sample.h"

namespace vedette::api {
namespace {

TEST(JsonWriter, CommasStandBetweenValuesOnly) {
  std::string out;
  JsonWriter json(&out);
  json.BeginObject().Key("a").BeginArray().Int(1).Int(2).EndArray().Key("b").BeginObject();
  json.EndObject().Key("c").Bool(true).Key("d").Null().EndObject();
  EXPECT_EQ(out, R"({"a":[1,2],"b":{},"c":true,"d":null})");
}

TEST(JsonWriter, ValuesAsPrometheusWritesThem) {
  struct {
    double v;
    const char* want;
  } const kCases[] = {
      {0, "0"},
      {-0.0, "-0"},
      {1.5, "1.5"},
      {1e20, "100000000000000000000"},
      {1e21, "1e+21"},
      {1e-6, "0.000001"},
      {1e-7, "1e-07"},
      {0.1 + 0.2, "0.30000000000000004"},
      {NAN, "NaN"},
      {INFINITY, "+Inf"},
      {-INFINITY, "-Inf"},
      {kStaleNan, "NaN"},
      {1.5e-10, "1.5e-10"},
      {std::numeric_limits<double>::max(), "1.7976931348623157e+308"},
  };
  for (const auto& c : kCases) {
    std::string got;
    AppendFloat(got, c.v);
    EXPECT_EQ(got, c.want);
  }
}

TEST(JsonWriter, TimesKeepTheirMilliseconds) {
  struct {
    int64_t t_ms;
    const char* want;
  } constexpr kCases[] = {{0, "0"},        {1435781430781, "1435781430.781"},
                          {1000, "1"},     {1010, "1.010"},
                          {1100, "1.100"}, {-1500, "-1.500"}};
  for (const auto& c : kCases) {
    std::string got;
    JsonWriter(&got).Time(c.t_ms);
    EXPECT_EQ(got, c.want);
  }
}

TEST(JsonWriter, WhatFollowsALetterBeyondAsciiIsEscapedToo) {
  std::string out;
  JsonWriter(&out).String("\xc3\xa9\"x \xc3\xa9\\y \xe2\x82\xac\n");
  EXPECT_EQ(out, "\"\xc3\xa9\\\"x \xc3\xa9\\\\y \xe2\x82\xac\\n\"");
}

TEST(JsonWriter, TextIsEscapedAndAlwaysUtf8) {
  std::string out;
  JsonWriter(&out).String("a\"\\\n\t\x01 \xc3\xa9 \xff\xe2\x82 \xf0\x9f\x90\x8e</script>");
  EXPECT_EQ(out,
            "\"a\\\"\\\\\\n\\t\\u0001 \xc3\xa9 \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd "
            "\xf0\x9f\x90\x8e</script>\"");
}

TEST(JsonWriter, AHistogramListsItsBucketsFromLowToHigh) {
  Histogram h;
  h.schema = 0;
  h.count = 6;
  h.sum = 9;
  h.zero_threshold = 0.5;
  h.zero_count = 1;
  h.positive_spans = {{1, 2}};
  h.positive_buckets = {2, 0};
  h.negative_spans = {{0, 2}};
  h.negative_buckets = {1, 2};
  std::string out;
  JsonWriter(&out).Object(h);
  EXPECT_EQ(out, R"({"count":"6","sum":"9","buckets":[[1,"-2","-1","2"],[1,"-1","-0.5","1"],)"
                 R"([3,"-0.5","0.5","1"],[0,"1","2","2"]]})");
}

TEST(FormatTime, IsRfc3339) {
  EXPECT_EQ(FormatTime(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(FormatTime(1700000000120), "2023-11-14T22:13:20.12Z");
}

}  // namespace
}  // namespace vedette::api
