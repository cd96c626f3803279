#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "ctl/http_api.h"

namespace vedette::ctl {

// vedettectl rehearse: what rules and routes would have done over the history that a server keeps.
// With a second set of either the difference is printed.
struct Rehearse {
  std::vector<std::string> rules;   // Files; none: those that the server runs.
  std::string alertmanager_config;  // A file; "": the server's own.
  std::vector<std::string> compare_rules;
  std::string compare_alertmanager_config;
  std::string from = "1d", to = "now";
  bool without_silences = false;
  bool bodies = true;           // Print what each receiver would have got, not only that it would.
  std::string format = "text";  // or json: what the server answered
  Status Run(const HttpApi& api, const Clock& clock, std::ostream& out) const;
};

}  // namespace vedette::ctl
