#include "server/api/http/params.h"

#include <charconv>
#include <chrono>
#include <cmath>
#include <optional>
#include <string>

#include "common/base/strings.h"
#include "common/model/duration.h"

namespace vedette::api {
namespace {

std::optional<double> ParseDecimal(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  double v = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return v;
}

// Reads exactly `digits` digits from the front of `text`.
std::optional<int> Digits(std::string_view& text, size_t digits) {
  int v = 0;
  if (text.size() < digits) return std::nullopt;
  for (size_t i = 0; i < digits; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    v = v * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return v;
}

bool Skip(std::string_view& text, char c, char or_else) {
  if (text.empty() || (text[0] != c && text[0] != or_else)) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<int64_t> ParseRfc3339(std::string_view text) {
  using namespace std::chrono;
  const auto y = Digits(text, 4);
  if (!y || !Skip(text, '-', '-')) return std::nullopt;
  const auto mo = Digits(text, 2);
  if (!mo || !Skip(text, '-', '-')) return std::nullopt;
  const auto d = Digits(text, 2);
  if (!d || !Skip(text, 'T', 't')) return std::nullopt;
  const auto h = Digits(text, 2);
  if (!h || !Skip(text, ':', ':')) return std::nullopt;
  const auto mi = Digits(text, 2);
  if (!mi || !Skip(text, ':', ':')) return std::nullopt;
  const auto s = Digits(text, 2);
  if (!s) return std::nullopt;
  int64_t ms = 0;
  if (Skip(text, '.', ',')) {
    int64_t unit = 100;
    size_t n = 0;
    for (; n < text.size() && text[n] >= '0' && text[n] <= '9'; ++n, unit /= 10) {
      ms += unit * (text[n] - '0');
    }
    if (n == 0) return std::nullopt;
    text.remove_prefix(n);
  }
  int64_t offset_minutes = 0;
  if (text == "Z" || text == "z") {
    text = {};
  } else {
    if (text.empty() || (text[0] != '+' && text[0] != '-')) return std::nullopt;
    const int sign = text[0] == '-' ? -1 : 1;
    text.remove_prefix(1);
    const auto oh = Digits(text, 2);
    if (!oh || !Skip(text, ':', ':')) return std::nullopt;
    const auto om = Digits(text, 2);
    if (!om || *oh > 23 || *om > 59) return std::nullopt;
    offset_minutes = sign * (*oh * 60 + *om);
  }
  const year_month_day date{year(*y), month(static_cast<unsigned>(*mo)),
                            day(static_cast<unsigned>(*d))};
  if (!text.empty() || !date.ok() || *h > 23 || *mi > 59 || *s > 59) return std::nullopt;
  const auto t = sys_days(date) + hours(*h) + minutes(*mi - offset_minutes) + seconds(*s);
  return duration_cast<milliseconds>(t.time_since_epoch()).count() + ms;
}

}  // namespace

Result<int64_t> ParseTime(std::string_view text) {
  if (const auto seconds = ParseDecimal(text)) {
    if (std::isnan(*seconds) || std::fabs(*seconds) > static_cast<double>(kMaxTimeMs) / 1000) {
      return InvalidArgument(StrCat("timestamp out of range: ", Quoted(text)));
    }
    return std::llround(*seconds * 1000);
  }
  if (const auto t = ParseRfc3339(text)) return *t;
  return InvalidArgument(StrCat("cannot parse ", Quoted(text), " to a valid timestamp"));
}

Result<int64_t> ParseDurationParam(std::string_view text) {
  if (const auto seconds = ParseDecimal(text)) {
    const double ms = *seconds * 1000;
    if (std::isnan(ms) || std::fabs(ms) > 9.2e15) {
      return InvalidArgument(
          StrCat("cannot parse ", Quoted(text), " to a valid duration. It overflows int64"));
    }
    return std::llround(ms);
  }
  const Result<int64_t> ms = ParseDuration(text);
  if (ms.ok()) return *ms;
  return InvalidArgument(StrCat("cannot parse ", Quoted(text), " to a valid duration"));
}

}  // namespace vedette::api
