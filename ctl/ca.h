#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "ctl/output.h"

// vedettectl ca …: the built-in CA from the shell.
namespace vedette::ctl {

struct CaInit {
  std::string dir;
  std::string name = "Vedette CA";
  int days = 3650;
  Status Run(const Clock& clock, std::ostream& out) const;
};

struct CaIssue {
  std::string dir;
  std::string role;
  std::string name;
  std::vector<std::string> sans;
  double days = 365;
  std::string out_dir;  // Empty: dir.
  bool replace = false;
  Status Run(const Clock& clock, std::ostream& out) const;
};

struct CaList {
  std::string dir;
  Format format = Format::kTable;
  Status Run(const Clock& clock, std::ostream& out) const;
};

struct CaRotate {
  std::string dir;
  std::string step;  // prepare, switch or finish.
  std::string name = "Vedette CA";
  int days = 3650;
  bool force = false;
  Status Run(const Clock& clock, std::ostream& out) const;
};

struct CaRevoke {
  std::string dir;
  std::string serial_or_name;
  Status Run(const Clock& clock, std::ostream& out) const;
};

}  // namespace vedette::ctl
