#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"

namespace vedette::ctl {

// vedettectl doctor: asks the server's own API, its metrics and this machine, and prints a line a
// check: "ok", "warn" or "FAIL", what was found, and what to do about it. Changes nothing.
//
// An answer that is not there (a series nobody scrapes) is no fault of its own: the check is left
// out or says so. Fails with FAILED_PRECONDITION when any check did.
struct Doctor {
  std::string url = "http://localhost:9090";
  std::string username;
  std::string password_file;
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
  std::vector<std::string> certificates;
  std::string data_dir;
  int days = 14;

  Status Run(const Clock& clock, std::ostream& out) const;
};

}  // namespace vedette::ctl
