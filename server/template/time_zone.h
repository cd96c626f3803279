#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/status.h"

namespace vedette::tmpl {

// TimeZone is one zone of the IANA database: "Europe/Paris", "UTC", "Local". It stands here, below
// both of its users (the `tz` function and mute intervals), so that one file sees abseil's zones.
// Cheap to copy; thread-safe.
class TimeZone {
 public:
  TimeZone();  // UTC
  static Result<TimeZone> Load(std::string_view name);

  struct Offset {
    int32_t seconds = 0;       // East of Greenwich.
    std::string abbreviation;  // "CEST"
  };
  Offset At(int64_t unix_ms) const;
  const std::string& name() const { return name_; }

 private:
  struct Zone;
  std::shared_ptr<const Zone> zone_;
  std::string name_ = "UTC";
};

}  // namespace vedette::tmpl
