#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "server/template/value.h"

namespace vedette::tmpl {

// A time under a Go layout, which shows by example: "2006-01-02 15:04:05 MST".
std::string FormatTime(const Time& time, std::string_view layout);

// "2020-09-13 12:26:40 +0000 UTC", with as many fraction digits as there are: Go's Time.String().
std::string TimeString(const Time& time);

// "1h30m0s", "1.5s", "12.3ms": Go's Duration.String().
std::string DurationString(int64_t ns);

// 2023-05-01T10:00:00.000Z with the fewest fraction digits (RFC 3339, UTC).
std::string FormatRfc3339(int64_t unix_ms);

// A calendar day in UTC, or shifted by the time's own offset.
struct CivilTime {
  int64_t year = 1970;
  int month = 1;  // 1..12
  int day = 1;    // 1..31
  int hour = 0;
  int minute = 0;
  int second = 0;
  int weekday = 4;   // 0: Sunday
  int year_day = 1;  // 1..366
};
CivilTime ToCivil(int64_t unix_seconds);

}  // namespace vedette::tmpl
