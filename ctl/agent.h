#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "ctl/connection.h"
#include "ctl/output.h"

// vedettectl agent …: one agent, asked directly.
namespace vedette::ctl {

struct AgentDescribe {
  Format format = Format::kTable;
  Status Run(const Connection& connection, std::ostream& out) const;
};

struct AgentCollect {
  std::vector<std::string> sources;
  std::vector<std::string> collectors;
  std::string name_regex;
  Format format = Format::kTable;
  Status Run(const Connection& connection, std::ostream& out) const;
};

}  // namespace vedette::ctl
