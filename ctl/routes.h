#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "ctl/http_api.h"

// vedettectl routes …: the routing tree of an alertmanager.yml, or of the server that runs.
namespace vedette::ctl {

struct RoutesShow {
  std::string config_file;  // "": ask the server.
  Status Run(const HttpApi& api, std::ostream& out) const;
};

// Which receivers an alert with these labels would reach.
struct RoutesTest {
  std::string config_file;
  std::vector<std::string> labels;            // name=value
  std::vector<std::string> verify_receivers;  // Fails unless these are the receivers.
  bool tree = false;
  Status Run(const HttpApi& api, std::ostream& out) const;
};

}  // namespace vedette::ctl
