#include "server/template/time_parse.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <optional>
#include <string>

#include "common/base/strings.h"
#include "server/template/time_layout.h"

namespace vedette::tmpl {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

struct Fields {
  int64_t year = 0;
  int64_t month = 1;
  int64_t day = 1;
  int64_t year_day = 0;  // 0: not said.
  int64_t hour = 0;
  int64_t minute = 0;
  int64_t second = 0;
  int64_t nanos = 0;
  bool pm = false;
  bool am = false;
  int64_t offset_seconds = 0;
  std::string zone = "UTC";
};

bool Leap(int64_t year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

int64_t DaysIn(int64_t month, int64_t year) {
  if (month == 2) return Leap(year) ? 29 : 28;
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

// Since 1970, as in Howard Hinnant's paper: eras of 400 years that begin in March.
int64_t DaysFromCivil(int64_t year, int64_t month, int64_t day) {
  const int64_t y = year - (month <= 2 ? 1 : 0);
  const int64_t era = (y >= 0 ? y : y - 399) / 400;
  const int64_t yoe = y - era * 400;
  const int64_t doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  std::string_view rest() const { return rest_; }
  bool Plain(char c) {
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  // From `least` to `most` digits.
  std::optional<int64_t> Number(size_t least, size_t most) {
    size_t n = 0;
    int64_t v = 0;
    while (n < most && n < rest_.size() && IsDigit(rest_[n])) v = v * 10 + (rest_[n++] - '0');
    if (n < least) return std::nullopt;
    rest_.remove_prefix(n);
    return v;
  }
  // Which of `names` it is, by their first `letters` (0: all of them), in either case.
  template <typename Names>
  std::optional<int64_t> Name(const Names& names, size_t letters) {
    for (size_t i = 0; i < names.size(); ++i) {
      const std::string_view name = names[i].substr(0, letters == 0 ? names[i].size() : letters);
      if (rest_.size() < name.size()) continue;
      const bool same = std::ranges::equal(name, rest_.substr(0, name.size()), [](char a, char b) {
        return std::tolower(static_cast<unsigned char>(a)) ==
               std::tolower(static_cast<unsigned char>(b));
      });
      if (!same) continue;
      rest_.remove_prefix(name.size());
      return static_cast<int64_t>(i);
    }
    return std::nullopt;
  }
  // Digits behind a point: nanoseconds.
  std::optional<int64_t> Fraction() {
    if (rest_.size() < 2 || (rest_[0] != '.' && rest_[0] != ',') || !IsDigit(rest_[1])) {
      return std::nullopt;
    }
    int64_t nanos = 0;
    size_t n = 1;
    for (; n < rest_.size() && IsDigit(rest_[n]); ++n) {
      if (n <= 9) nanos = nanos * 10 + (rest_[n] - '0');
    }
    for (size_t have = n - 1; have < 9; ++have) nanos *= 10;
    rest_.remove_prefix(n);
    return nanos;
  }
  // "+02:00" as "-07:00" shows it, "Z" where the layout allows it.
  std::optional<int64_t> Offset(std::string_view piece) {
    if (piece[0] == 'Z' && Plain('Z')) return 0;
    const bool minus = Plain('-');
    if (!minus && !Plain('+')) return std::nullopt;
    const bool colon = piece.find(':') != piece.npos;
    const size_t parts = piece.size() == 3 ? 1 : piece.size() >= 7 ? 3 : 2;
    int64_t seconds = 0;
    for (size_t i = 0; i < parts; ++i) {
      if (i > 0 && colon && !Plain(':')) return std::nullopt;
      const std::optional<int64_t> v = Number(2, 2);
      if (!v) return std::nullopt;
      seconds += *v * (i == 0 ? 3600 : i == 1 ? 60 : 1);
    }
    return minus ? -seconds : seconds;
  }
  // "UTC", "CEST".
  std::optional<std::string> Zone() {
    size_t n = 0;
    while (n < 5 && n < rest_.size() && rest_[n] >= 'A' && rest_[n] <= 'Z') ++n;
    if (n < 3) return std::nullopt;
    std::string out(rest_.substr(0, n));
    rest_.remove_prefix(n);
    return out;
  }

 private:
  std::string_view rest_;
};

template <typename T, typename V>
bool Set(T& to, const std::optional<V>& v) {
  if (v) to = *v;
  return v.has_value();
}

// The month, day or clock part that `piece` asks for; false: the text has something else.
bool ReadPiece(std::string_view piece, Reader& in, Fields& f) {
  const auto month = [&](std::optional<int64_t> i) {
    if (i) f.month = *i + 1;
    return i.has_value();
  };
  if (piece == "January") return month(in.Name(kMonths, 0));
  if (piece == "Jan") return month(in.Name(kMonths, 3));
  if (piece == "Monday") return in.Name(kDays, 0).has_value();
  if (piece == "Mon") return in.Name(kDays, 3).has_value();
  if (piece == "MST") return Set(f.zone, in.Zone());
  if (piece == "2006") return Set(f.year, in.Number(4, 4));
  if (piece == "06") {
    if (!Set(f.year, in.Number(2, 2))) return false;
    f.year += f.year >= 69 ? 1900 : 2000;
    return true;
  }
  if (piece[0] == '-' || piece[0] == 'Z') {
    f.zone = "";
    return Set(f.offset_seconds, in.Offset(piece));
  }
  if (piece == "002") return Set(f.year_day, in.Number(3, 3));
  if (piece == "__2") {
    while (in.Plain(' ')) {
    }
    return Set(f.year_day, in.Number(1, 3));
  }
  if (piece == "01") return Set(f.month, in.Number(2, 2));
  if (piece == "1") return Set(f.month, in.Number(1, 2));
  if (piece == "02") return Set(f.day, in.Number(2, 2));
  if (piece == "2") return Set(f.day, in.Number(1, 2));
  if (piece == "_2") {
    (void)in.Plain(' ');
    return Set(f.day, in.Number(1, 2));
  }
  if (piece == "15" || piece == "3") return Set(f.hour, in.Number(1, 2));
  if (piece == "03") return Set(f.hour, in.Number(2, 2));
  if (piece == "04") return Set(f.minute, in.Number(2, 2));
  if (piece == "4") return Set(f.minute, in.Number(1, 2));
  if (piece == "PM" || piece == "pm") {
    const bool upper = piece == "PM";
    f.pm = in.rest().starts_with(upper ? "PM" : "pm");
    f.am = in.rest().starts_with(upper ? "AM" : "am");
    return (f.pm || f.am) && in.Plain(in.rest()[0]) && in.Plain(upper ? 'M' : 'm');
  }
  return Set(f.second, piece == "05" ? in.Number(2, 2) : in.Number(1, 2));
}

Status CheckRanges(const Fields& f) {
  const struct {
    const char* what;
    int64_t v, least, most;
  } ranges[] = {
      {"month", f.month, 1, 12},
      {"day", f.day, 1, f.month >= 1 && f.month <= 12 ? DaysIn(f.month, f.year) : 31},
      {"day of the year", f.year_day, 0, Leap(f.year) ? 366 : 365},
      {"hour", f.hour, 0, 23},
      {"minute", f.minute, 0, 59},
      {"second", f.second, 0, 59},
  };
  for (const auto& r : ranges) {
    if (r.v < r.least || r.v > r.most) return InvalidArgument(StrCat(r.what, " out of range: ", r.v));
  }
  return {};
}

}  // namespace

Result<Time> ParseTime(std::string_view layout, std::string_view text) {
  const auto wrong = [&](std::string_view rest, std::string_view piece) {
    return InvalidArgument(StrCat("cannot read ", Quoted(text), " as the time ", Quoted(layout), ": ",
                                  Quoted(rest), " is no ", Quoted(piece)));
  };
  Fields f;
  Reader in(text);
  for (std::string_view rest = layout; !rest.empty();) {
    // ".000" and ".999" behind the seconds: those read them by themselves.
    if ((rest[0] == '.' || rest[0] == ',') && rest.size() > 1 && (rest[1] == '0' || rest[1] == '9')) {
      const size_t end = rest.find_first_not_of(rest[1], 1);
      if (end == rest.npos || !IsDigit(rest[end])) {
        (void)Set(f.nanos, in.Fraction());
        rest.remove_prefix(end == rest.npos ? rest.size() : end);
        continue;
      }
    }
    const std::string_view piece = LayoutPiece(rest);
    if (piece.empty()) {
      if (!in.Plain(rest[0])) return wrong(in.rest(), rest);
      rest.remove_prefix(1);
      continue;
    }
    if (!ReadPiece(piece, in, f)) return wrong(in.rest(), piece);
    if (piece == "05" || piece == "5") (void)Set(f.nanos, in.Fraction());
    rest.remove_prefix(piece.size());
  }
  if (!in.rest().empty()) return wrong(in.rest(), "");
  if (Status s = CheckRanges(f); !s.ok()) {
    return s.Annotate(StrCat("cannot read ", Quoted(text), " as the time ", Quoted(layout)));
  }
  if (f.pm && f.hour < 12) f.hour += 12;
  if (f.am && f.hour == 12) f.hour = 0;
  const int64_t days = f.year_day > 0 ? DaysFromCivil(f.year, 1, 1) + f.year_day - 1
                                      : DaysFromCivil(f.year, f.month, f.day);
  const int64_t seconds =
      days * 86400 + f.hour * 3600 + f.minute * 60 + f.second - f.offset_seconds;
  return Time{.unix_ms = seconds * 1000 + f.nanos / 1'000'000,
              .nanos_below_ms = static_cast<int32_t>(f.nanos % 1'000'000),
              .offset_seconds = static_cast<int32_t>(f.offset_seconds),
              .zone = f.zone.empty() && f.offset_seconds == 0 ? "UTC" : f.zone};
}

}  // namespace vedette::tmpl
