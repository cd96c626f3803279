#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "ctl/connection.h"
#include "ctl/output.h"

// vedettectl targets, rules and alerts: what the server is doing.
namespace vedette::ctl {

struct Targets {
  std::string job;
  bool dropped = false;
  Format format = Format::kTable;
  Status Run(const Connection& connection, std::ostream& out) const;
};

struct Rules {
  std::vector<std::string> groups;
  Format format = Format::kTable;
  Status Run(const Connection& connection, std::ostream& out) const;
};

struct Alerts {
  Format format = Format::kTable;
  Status Run(const Connection& connection, std::ostream& out) const;
};

}  // namespace vedette::ctl
