#include "common/config/time_interval_loader.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/strings.h"
#include "common/config/alertmanager.h"

namespace vedette::config {
namespace {

std::string Lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

constexpr std::array<std::string_view, 7> kDays = {"sunday",   "monday", "tuesday", "wednesday",
                                                   "thursday", "friday", "saturday"};
constexpr std::array<std::string_view, 12> kMonths = {
    "january", "february", "march",     "april",   "may",      "june",
    "july",    "august",   "september", "october", "november", "december"};

bool ParseInt(std::string_view text, int& out) {
  const char* end = text.data() + text.size();
  auto [after, error] = std::from_chars(text.data(), end, out);
  return error == std::errc() && after == end;
}

// "a" or "a:b", each a name of `names` (numbered from `first`) or, where allowed, a number.
template <typename Names>
void ReadRanges(const Value& value, const Names& names, int first, bool numbers, int least,
                int most, std::vector<IntRange>& out) {
  value.EachItem([&](const Value& item) {
    std::string text;
    item.Read(text);
    const std::string lower = Lower(text);
    IntRange range;
    int* ends[2] = {&range.begin, &range.end};
    const std::vector<std::string_view> pieces = Split(lower, ':');
    bool good = pieces.size() <= 2;
    for (size_t i = 0; good && i < pieces.size(); ++i) {
      const auto found = std::find(names.begin(), names.end(), Trim(pieces[i]));
      if (found != names.end()) {
        *ends[i] = first + static_cast<int>(found - names.begin());
      } else {
        good = numbers && ParseInt(Trim(pieces[i]), *ends[i]);
      }
      good = good && *ends[i] >= least && *ends[i] <= most;
    }
    if (pieces.size() == 1) range.end = range.begin;
    if (!good) {
      item.Fail(StrCat("not a range to use here: ", Quoted(text)));
      return;
    }
    // 1:-1 is the whole month; between ends of one sign the order can be seen.
    if ((range.begin < 0) == (range.end < 0) && range.begin > range.end) {
      item.Fail(StrCat("the range ", Quoted(text), " ends before it begins"));
    }
    if (range.begin < 0 && range.end > 0) {
      item.Fail(StrCat("the range ", Quoted(text),
                       " begins from the month's end, so it must end there too"));
    }
    out.push_back(range);
  });
}

void ReadMinutes(const Value& value, int& out) {
  std::string text;
  value.Read(text);
  int hour = 0;
  int minute = 0;
  if (text.size() != 5 || text[2] != ':' || !ParseInt(text.substr(0, 2), hour) ||
      !ParseInt(text.substr(3), minute) || hour < 0 || minute < 0 || minute > 59 ||
      hour * 60 + minute > 1440) {
    value.Fail(StrCat("not a time of day: ", Quoted(text), "; write it as 08:30, at most 24:00"));
    return;
  }
  out = hour * 60 + minute;
}

std::string TwoDigits(int v) { return StrCat(v < 10 ? "0" : "", v); }

std::string TimeOfDay(int minutes) {
  return StrCat("\"", TwoDigits(minutes / 60), ":", TwoDigits(minutes % 60), "\"");
}

void AppendRanges(std::string& out, std::string_view key, const std::vector<IntRange>& ranges,
                  std::span<const std::string_view> names) {
  if (ranges.empty()) return;
  const auto word = [&](int v) {
    return names.empty() ? StrCat(v) : std::string(names[static_cast<size_t>(v)]);
  };
  StrAppend(out, "\"", key, "\":[");
  for (size_t i = 0; i < ranges.size(); ++i) {
    StrAppend(out, i == 0 ? "" : ",", "\"", word(ranges[i].begin));
    if (ranges[i].end != ranges[i].begin) StrAppend(out, ":", word(ranges[i].end));
    out += '"';
  }
  out += "],";
}

}  // namespace

void ReadTimeInterval(const Value& item, TimeInterval& out) {
  static const std::vector<std::string_view> kNoNames;
  Object o(item);
  o["times"].EachBlock([&](const Value& time) {
    TimeInterval::MinuteRange& range = out.times.emplace_back();
    Object t(time);
    ReadMinutes(t["start_time"], range.start);
    ReadMinutes(t["end_time"], range.end);
    t.Finish();
    if (range.start >= range.end) time.Fail("start_time must be before end_time");
  });
  ReadRanges(o["weekdays"], kDays, 0, false, 0, 6, out.weekdays);
  const Value days = o["days_of_month"];
  ReadRanges(days, kNoNames, 0, true, -31, 31, out.days_of_month);
  for (const IntRange& range : out.days_of_month) {
    if (range.begin == 0 || range.end == 0) days.Fail("there is no day 0 in a month");
  }
  ReadRanges(o["months"], kMonths, 1, true, 1, 12, out.months);
  ReadRanges(o["years"], kNoNames, 0, true, 0, 9999, out.years);
  o["location"].Read(out.location);
  o.Finish();
}

Result<TimeInterval> ParseTimeInterval(std::string_view text) {
  VEDETTE_ASSIGN_OR_RETURN(const YamlNode root, ParseYaml(text, "recurrence"));
  DecodeContext context = DecodeContext::For("recurrence");
  TimeInterval out;
  ReadTimeInterval(Value::Root(context, root), out);
  VEDETTE_RETURN_IF_ERROR(context.failure);
  return out;
}

std::string FormatTimeInterval(const TimeInterval& interval) {
  std::string out = "{";
  if (!interval.times.empty()) {
    out += "\"times\":[";
    for (size_t i = 0; i < interval.times.size(); ++i) {
      StrAppend(out, i == 0 ? "" : ",", "{\"start_time\":", TimeOfDay(interval.times[i].start),
                ",\"end_time\":", TimeOfDay(interval.times[i].end), "}");
    }
    out += "],";
  }
  AppendRanges(out, "weekdays", interval.weekdays, kDays);
  AppendRanges(out, "days_of_month", interval.days_of_month, {});
  AppendRanges(out, "months", interval.months, {});
  AppendRanges(out, "years", interval.years, {});
  return StrCat(out, "\"location\":", Quoted(interval.location), "}");
}

}  // namespace vedette::config
