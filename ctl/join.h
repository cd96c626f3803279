#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"

// vedettectl join and renew: a node's certificate over the network.
namespace vedette::ctl {

struct Join {
  std::string server;
  std::string token_file;
  std::string name;
  std::vector<std::string> sans;
  std::string out_dir;
  std::string deadline = "5m";
  Status Run(const Clock& clock, std::ostream& out, std::ostream& notes) const;
};

struct Renew {
  std::string dir;
  std::string server;
  std::string server_name;
  bool force = false;
  Status Run(const Clock& clock, std::ostream& out) const;
};

}  // namespace vedette::ctl
