#include "ctl/output.h"

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>
#include <string>

namespace vedette::ctl {
namespace {

std::string Print(const Table& table, Format format) {
  std::ostringstream out;
  table.Print(format, out);
  return out.str();
}

TEST(Output, OneTableThreeFormats) {
  const Table table{{"name", "value"}, {{"a,\"b\"", "1"}, {"größe\n", "22"}}};
  EXPECT_EQ(Print(table, Format::kTable), "name       value\na,\"b\"      1\ngröße\\x0a  22\n");
  EXPECT_EQ(Print(table, Format::kCsv), "name,value\n\"a,\"\"b\"\"\",1\n\"größe\n\",22\n");
  EXPECT_EQ(Print(table, Format::kJson),
            "[\n  {\"name\": \"a,\\\"b\\\"\", \"value\": \"1\"},\n"
            "  {\"name\": \"größe\\u000a\", \"value\": \"22\"}\n]\n");
  EXPECT_EQ(Print({{"name"}, {}}, Format::kJson), "[]\n");
}

TEST(Output, TimesAreReadInEveryFormPeopleType) {
  constexpr int64_t kNow = 1'700'000'000'000;
  struct Case {
    const char* text;
    int64_t want;
  };
  for (const Case& c :
       {Case{"now", kNow}, Case{"", kNow}, Case{"15m", kNow - 900'000}, Case{"1700000000", kNow},
        Case{"1700000000.5", kNow + 500}, Case{"2023-11-14T22:13:20Z", kNow},
        Case{"2023-11-14T22:13:20.25Z", kNow + 250}, Case{"2023-11-15T00:13:20+02:00", kNow}}) {
    SCOPED_TRACE(c.text);
    const Result<int64_t> got = ParseTime(c.text, kNow);
    ASSERT_TRUE(got.ok()) << got.status().ToString();
    EXPECT_EQ(*got, c.want);
  }
  for (const char* bad : {"yesterday", "2023-11-14", "2023-04-31T00:00:00Z", "2023-11-14T22:13:20",
                          "2023-11-14T22:13:20Zx", "1e300", "nan"}) {
    EXPECT_FALSE(ParseTime(bad, kNow).ok()) << bad;
  }
  EXPECT_EQ(FormatTime(kNow + 7), "2023-11-14T22:13:20.007Z");
}

TEST(Output, ValuesReadAsPrometheusWritesThem) {
  EXPECT_EQ(FormatValue(0.1), "0.1");
  EXPECT_EQ(FormatValue(NAN), "NaN");
  EXPECT_EQ(FormatValue(INFINITY), "+Inf");
  EXPECT_EQ(FormatValue(-INFINITY), "-Inf");
}

}  // namespace
}  // namespace vedette::ctl
