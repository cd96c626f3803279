#include "server/template/time_zone.h"

#include <absl/time/time.h>

#include "common/base/strings.h"

namespace vedette::tmpl {

struct TimeZone::Zone {
  absl::TimeZone zone;
};

TimeZone::TimeZone() : zone_(std::make_shared<const Zone>(Zone{absl::UTCTimeZone()})) {}

Result<TimeZone> TimeZone::Load(std::string_view name) {
  TimeZone out;
  out.name_ = std::string(name);
  if (name == "Local") {
    out.zone_ = std::make_shared<const Zone>(Zone{absl::LocalTimeZone()});
    return out;
  }
  // The library opens a file of this name: what is no zone name does not get that far.
  absl::TimeZone zone;
  if (name.empty() || name.front() == '/' || name.find("..") != name.npos ||
      !absl::LoadTimeZone(out.name_, &zone)) {
    return InvalidArgument(StrCat("unknown time zone ", Quoted(name)));
  }
  out.zone_ = std::make_shared<const Zone>(Zone{zone});
  return out;
}

TimeZone::Offset TimeZone::At(int64_t unix_ms) const {
  const absl::TimeZone::CivilInfo info = zone_->zone.At(absl::FromUnixMillis(unix_ms));
  return {.seconds = info.offset, .abbreviation = info.zone_abbr};
}

}  // namespace vedette::tmpl
