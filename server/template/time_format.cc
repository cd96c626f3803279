#include "server/template/time_format.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <utility>

#include "common/base/strings.h"
#include "server/template/time_layout.h"

namespace vedette::tmpl {
namespace {

int64_t FloorDiv(int64_t a, int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

std::string Digits(int64_t v, size_t width, char fill = '0') {
  std::string s = StrCat(v);
  if (s.size() < width) s.insert(0, width - s.size(), fill);
  return s;
}

std::string OffsetText(int32_t offset, bool colon, bool seconds, bool zulu, bool hours_only) {
  if (zulu && offset == 0) return "Z";
  const int32_t a = std::abs(offset);
  std::string out = offset < 0 ? "-" : "+";
  out += Digits(a / 3600, 2);
  if (hours_only) return out;
  if (colon) out += ':';
  out += Digits(a / 60 % 60, 2);
  if (seconds) {
    if (colon) out += ':';
    out += Digits(a % 60, 2);
  }
  return out;
}

// Digits after the decimal point: `width` of them, or without trailing zeros.
std::string Fraction(int64_t nanos, size_t width, bool trim) {
  std::string s = Digits(nanos, 9).substr(0, width);
  if (trim) {
    while (!s.empty() && s.back() == '0') s.pop_back();
  }
  return s;
}

}  // namespace

CivilTime ToCivil(int64_t unix_seconds) {
  CivilTime c;
  const int64_t days = FloorDiv(unix_seconds, 86400);
  const int64_t second = unix_seconds - days * 86400;
  c.hour = static_cast<int>(second / 3600);
  c.minute = static_cast<int>(second / 60 % 60);
  c.second = static_cast<int>(second % 60);
  c.weekday = static_cast<int>(((days + 4) % 7 + 7) % 7);
  // Days to a civil date, as in Howard Hinnant's paper: eras of 400 years that begin in March.
  const int64_t z = days + 719468;
  const int64_t era = FloorDiv(z, 146097);
  const int64_t doe = z - era * 146097;
  const int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  const int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  const int64_t mp = (5 * doy + 2) / 153;
  c.day = static_cast<int>(doy - (153 * mp + 2) / 5 + 1);
  c.month = static_cast<int>(mp < 10 ? mp + 3 : mp - 9);
  c.year = yoe + era * 400 + (c.month <= 2);
  const bool leap = (c.year % 4 == 0 && c.year % 100 != 0) || c.year % 400 == 0;
  c.year_day = static_cast<int>(mp < 10 ? doy + 60 + leap : doy - 305);
  return c;
}

std::string FormatTime(const Time& time, std::string_view layout) {
  const int64_t seconds = FloorDiv(time.unix_ms, 1000);
  const int64_t nanos = (time.unix_ms - seconds * 1000) * 1'000'000 + time.nanos_below_ms;
  const CivilTime c = ToCivil(seconds + time.offset_seconds);
  const int hour12 = c.hour % 12 == 0 ? 12 : c.hour % 12;
  std::string out;
  for (size_t i = 0; i < layout.size();) {
    const std::string_view rest = layout.substr(i);
    // ".000" and ".999" after the seconds.
    if ((rest[0] == '.' || rest[0] == ',') && rest.size() > 1 &&
        (rest[1] == '0' || rest[1] == '9')) {
      size_t n = 1;
      while (n < rest.size() && rest[n] == rest[1]) ++n;
      const bool more_digits = n < rest.size() && rest[n] >= '0' && rest[n] <= '9';
      if (!more_digits) {
        const std::string digits = Fraction(nanos, std::min<size_t>(n - 1, 9), rest[1] == '9');
        if (!digits.empty()) StrAppend(out, rest.substr(0, 1), digits);
        i += n;
        continue;
      }
    }
    const std::string_view piece = LayoutPiece(rest);
    if (piece.empty()) {
      out.push_back(rest[0]);
      ++i;
      continue;
    }
    i += piece.size();
    if (piece == "January")
      out += kMonths[c.month - 1];
    else if (piece == "Jan")
      out += kMonths[c.month - 1].substr(0, 3);
    else if (piece == "Monday")
      out += kDays[c.weekday];
    else if (piece == "Mon")
      out += kDays[c.weekday].substr(0, 3);
    else if (piece == "MST")
      out += time.zone.empty() ? OffsetText(time.offset_seconds, false, false, false, false)
                               : time.zone;
    else if (piece == "2006")
      out += Digits(c.year, 4);
    else if (piece[0] == '-' || piece[0] == 'Z')
      out += OffsetText(time.offset_seconds, piece.find(':') != piece.npos, piece.size() >= 7,
                        piece[0] == 'Z', piece.size() == 3);
    else if (piece == "002")
      out += Digits(c.year_day, 3);
    else if (piece == "__2")
      out += Digits(c.year_day, 3, ' ');
    else if (piece == "01")
      out += Digits(c.month, 2);
    else if (piece == "02")
      out += Digits(c.day, 2);
    else if (piece == "03")
      out += Digits(hour12, 2);
    else if (piece == "04")
      out += Digits(c.minute, 2);
    else if (piece == "05")
      out += Digits(c.second, 2);
    else if (piece == "06")
      out += Digits(((c.year % 100) + 100) % 100, 2);
    else if (piece == "15")
      out += Digits(c.hour, 2);
    else if (piece == "_2")
      out += Digits(c.day, 2, ' ');
    else if (piece == "PM")
      out += c.hour >= 12 ? "PM" : "AM";
    else if (piece == "pm")
      out += c.hour >= 12 ? "pm" : "am";
    else if (piece == "1")
      out += StrCat(c.month);
    else if (piece == "2")
      out += StrCat(c.day);
    else if (piece == "3")
      out += StrCat(hour12);
    else if (piece == "4")
      out += StrCat(c.minute);
    else
      out += StrCat(c.second);
  }
  return out;
}

std::string TimeString(const Time& time) {
  return FormatTime(time, "2006-01-02 15:04:05.999999999 -0700 MST");
}

std::string FormatRfc3339(int64_t unix_ms) {
  return FormatTime(Time{.unix_ms = unix_ms}, "2006-01-02T15:04:05.999Z07:00");
}

std::string DurationString(int64_t ns) {
  if (ns == 0) return "0s";
  const bool negative = ns < 0;
  uint64_t u = negative ? 0 - static_cast<uint64_t>(ns) : static_cast<uint64_t>(ns);
  auto with_fraction = [](uint64_t v, uint64_t unit) {
    std::string s = StrCat(v / unit);
    std::string f;
    for (uint64_t rest = v % unit, u = unit / 10; u > 0 && rest > 0; rest %= u, u /= 10) {
      f += static_cast<char>('0' + rest / u);
    }
    return f.empty() ? s : s + "." + f;
  };
  std::string out = negative ? "-" : "";
  if (u < 1000) return StrCat(out, u, "ns");
  if (u < 1'000'000) return StrCat(out, with_fraction(u, 1000), "\xc2\xb5s");
  if (u < 1'000'000'000) return StrCat(out, with_fraction(u, 1'000'000), "ms");
  const uint64_t minutes = u / 60'000'000'000;
  const std::string seconds = with_fraction(u % 60'000'000'000, 1'000'000'000);
  if (minutes >= 60) StrAppend(out, minutes / 60, "h");
  if (minutes > 0) StrAppend(out, minutes % 60, "m");
  return StrCat(out, seconds, "s");
}

}  // namespace vedette::tmpl
