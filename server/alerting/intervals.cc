#include "server/alerting/intervals.h"

#include <algorithm>

#include "common/base/strings.h"
#include "server/template/time_format.h"

namespace vedette::alerting {
namespace {

int DaysInMonth(int64_t year, int month) {
  if (month == 2) return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28;
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

bool In(const std::vector<config::IntRange>& ranges, int64_t v) {
  return ranges.empty() || std::any_of(ranges.begin(), ranges.end(),
                                       [&](const auto& r) { return v >= r.begin && v <= r.end; });
}

bool Contains(const config::TimeInterval& i, const tmpl::CivilTime& c) {
  const int minute = c.hour * 60 + c.minute;
  if (!i.times.empty() && std::none_of(i.times.begin(), i.times.end(), [&](const auto& r) {
        return minute >= r.start && minute < r.end;
      })) {
    return false;
  }
  if (!i.days_of_month.empty()) {
    const int days = DaysInMonth(c.year, c.month);
    const bool inside =
        std::any_of(i.days_of_month.begin(), i.days_of_month.end(), [&](const auto& r) {
          // Negative days count from the end; what lies outside the month is cut to it.
          const int begin = std::max(r.begin < 0 ? days + r.begin + 1 : r.begin, 1);
          const int end = std::min(r.end < 0 ? days + r.end + 1 : r.end, days);
          return c.day >= begin && c.day <= end;
        });
    if (!inside) return false;
  }
  return In(i.weekdays, c.weekday) && In(i.months, c.month) && In(i.years, c.year);
}

}  // namespace

Result<Intervals> Intervals::Make(std::span<const config::NamedTimeInterval> intervals) {
  Intervals out;
  for (const config::NamedTimeInterval& named : intervals) {
    std::vector<Zoned>& list = out.intervals_[named.name];
    for (const config::TimeInterval& i : named.intervals) {
      Result<tmpl::TimeZone> zone = tmpl::TimeZone::Load(i.location);
      if (!zone.ok()) {
        return zone.status().Annotate(StrCat("time interval ", Quoted(named.name)));
      }
      list.push_back({i, *std::move(zone)});
    }
  }
  return out;
}

bool Intervals::Active(const std::string& name, int64_t t_ms) const {
  auto it = intervals_.find(name);
  if (it == intervals_.end()) return false;
  return std::any_of(it->second.begin(), it->second.end(), [&](const Zoned& z) {
    const int64_t seconds = t_ms / 1000 - (t_ms % 1000 < 0 ? 1 : 0);
    return Contains(z.interval, tmpl::ToCivil(seconds + z.zone.At(t_ms).seconds));
  });
}

std::vector<std::string> Intervals::ActiveOf(std::span<const std::string> names,
                                             int64_t t_ms) const {
  std::vector<std::string> out;
  for (const std::string& name : names) {
    if (Active(name, t_ms)) out.push_back(name);
  }
  return out;
}

}  // namespace vedette::alerting
