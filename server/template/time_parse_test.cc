#include "server/template/time_parse.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "common/base/status.h"
#include "server/template/alertmanager_functions.h"
#include "server/template/template.h"
#include "server/template/time_format.h"
#include "server/template/value.h"
#include "tests/support/fake_clock.h"

namespace vedette::tmpl {
namespace {

TEST(ParseTime, ReadsWhatFormatTimeWrites) {
  static constexpr struct {
    std::string_view layout, text, want;  // `want` as RFC 3339, in UTC.
  } kCases[] = {
      {"2006-01-02", "2023-12-31", "2023-12-31T00:00:00Z"},
      {"2006-01-02T15:04:05Z07:00", "2000-02-29T12:30:00+02:00", "2000-02-29T10:30:00Z"},
      {"2006-01-02T15:04:05Z07:00", "2000-02-29T12:30:00Z", "2000-02-29T12:30:00Z"},
      {"2006-01-02T15:04:05Z07:00", "2000-02-29T12:30:00.25Z", "2000-02-29T12:30:00.25Z"},
      {"2006-01-02 15:04:05.000 -0700", "1969-12-31 18:59:59.999 -0500", "1969-12-31T23:59:59.999Z"},
      {"Mon Jan _2 15:04:05 2006", "Tue Feb  1 03:04:05 2022", "2022-02-01T03:04:05Z"},
      {"Monday, 02-Jan-06 15:04:05 MST", "saturday, 01-JAN-00 23:59:59 UTC", "2000-01-01T23:59:59Z"},
      {"January 2, 2006 3:04 PM", "March 9, 2024 12:05 AM", "2024-03-09T00:05:00Z"},
      {"2006 1 2 3:04pm", "2024 12 9 12:05pm", "2024-12-09T12:05:00Z"},
      {"2006.002", "2024.366", "2024-12-31T00:00:00Z"},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(std::string(c.text));
    const Result<Time> t = ParseTime(c.layout, c.text);
    ASSERT_TRUE(t.ok()) << t.status().ToString();
    EXPECT_EQ(FormatRfc3339(t->unix_ms), c.want);
  }
  EXPECT_EQ(FormatTime(*ParseTime("2006-01-02 15:04 -0700", "2024-05-06 07:08 +0530"), "15:04 -0700"),
            "07:08 +0530");
}

TEST(ParseTime, SaysWhatIsNotWhatTheLayoutWants) {
  static constexpr struct {
    std::string_view layout, text, why;
  } kCases[] = {
      {"2006-01-02", "2023-13-31", "month out of range: 13"},
      {"2006-01-02", "2023-02-29", "day out of range: 29"},
      {"15:04", "24:00", "hour out of range: 24"},
      {"2006-01-02", "2023-1-02", "\"1-02\" is no \"01\""},
      {"2006-01-02", "2023-01-02x", "\"x\""},
      {"2006-01-02", "", "is no \"2006\""},
      {"Jan", "Foo", "is no \"Jan\""},
      {"3PM", "3", "is no \"PM\""},
      {"-07:00", "+02", "is no \"-07:00\""},
  };
  for (const auto& c : kCases) {
    const Result<Time> t = ParseTime(c.layout, c.text);
    ASSERT_FALSE(t.ok()) << c.text;
    EXPECT_NE(t.status().message().find(c.why), std::string::npos) << t.status().ToString();
  }
}

TEST(ParseTime, TemplatesOfMessagesHaveIt) {
  testing::FakeClock clock;
  const auto run = [&](std::string_view text) {
    Template t(AlertmanagerFunctions(clock));
    const Status parsed = t.Parse("t", text);
    return parsed.ok() ? t.Execute("t", Value(Map{})) : Result<std::string>(parsed);
  };
  EXPECT_EQ(*run(R"({{ toDate "2006-01-02" "2023-12-31" | date "02.01.06" }})"), "31.12.23");
  EXPECT_EQ(*run(R"({{ (toDate "2006-01-02" "soon").IsZero }})"), "true");
  EXPECT_EQ(*run(R"({{ (mustToDate "2006-01-02" "2023-12-31").Unix }})"), "1703980800");
  EXPECT_FALSE(run(R"({{ mustToDate "2006-01-02" "soon" }})").ok());
}

}  // namespace
}  // namespace vedette::tmpl
