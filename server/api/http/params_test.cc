#include "server/api/http/params.h"

#include <gtest/gtest.h>

namespace vedette::api {
namespace {

TEST(ParseTime, TakesSecondsAndRfc3339) {
  struct {
    const char* text;
    int64_t want_ms;
  } constexpr kCases[] = {
      {"0", 0},
      {"1435781451.781", 1435781451781},
      {"-1.5", -1500},
      {"1e3", 1000000},
      {"2023-11-14T22:13:20Z", 1700000000000},
      {"2023-11-14T22:13:20.123456Z", 1700000000123},
      {"2023-11-14T23:13:20+01:00", 1700000000000},
      {"2023-11-14T21:43:20-00:30", 1700000000000},
  };
  for (const auto& c : kCases) {
    const auto got = ParseTime(c.text);
    ASSERT_TRUE(got.ok()) << c.text << got.status().ToString();
    EXPECT_EQ(*got, c.want_ms) << c.text;
  }
  for (const char* bad : {"", "now", "NaN", "1e30", "2023-13-14T22:13:20Z", "2023-11-14",
                          "2023-11-14T22:13:20", "2023-02-30T00:00:00Z", "1s"}) {
    EXPECT_FALSE(ParseTime(bad).ok()) << bad;
  }
}

TEST(ParseDurationParam, TakesSecondsAndDurations) {
  EXPECT_EQ(*ParseDurationParam("15"), 15000);
  EXPECT_EQ(*ParseDurationParam("0.5"), 500);
  EXPECT_EQ(*ParseDurationParam("1h30m"), 5400000);
  EXPECT_FALSE(ParseDurationParam("").ok());
  EXPECT_FALSE(ParseDurationParam("1 h").ok());
  EXPECT_FALSE(ParseDurationParam("1e30").ok());
}

}  // namespace
}  // namespace vedette::api
