#pragma once

#include <iosfwd>
#include <string>

#include "common/base/status.h"
#include "ctl/connection.h"

// vedettectl watch: one host scraped more often for a while.
namespace vedette::ctl {

struct Watch {
  std::string host;
  std::string interval = "100ms";
  std::string duration = "60s";
  bool stop = false;
  Status Run(const Connection& connection, std::ostream& out) const;
};

}  // namespace vedette::ctl
