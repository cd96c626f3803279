#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/config/time_interval.h"
#include "server/template/time_zone.h"

namespace vedette::alerting {

// The named time intervals of a configuration, with their zones loaded. Immutable.
class Intervals {
 public:
  static Result<Intervals> Make(std::span<const config::NamedTimeInterval> intervals);

  // Is `t_ms` inside the interval of this name? False for a name that is not there.
  bool Active(const std::string& name, int64_t t_ms) const;
  // Those of `names` that are active.
  std::vector<std::string> ActiveOf(std::span<const std::string> names, int64_t t_ms) const;
  bool Has(const std::string& name) const { return intervals_.contains(name); }

 private:
  struct Zoned {
    config::TimeInterval interval;
    tmpl::TimeZone zone;
  };
  std::map<std::string, std::vector<Zoned>> intervals_;
};

}  // namespace vedette::alerting
