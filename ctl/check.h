#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "common/base/status.h"

// vedettectl check … and test …: files that are read before a server reads them.
namespace vedette::ctl {

struct CheckRules {
  std::vector<std::string> files;
  bool lint_fatal = false;  // A rule that is there twice fails the check.
  Status Run(std::ostream& out) const;
};

// prometheus.yml with the files that it names.
struct CheckConfig {
  std::vector<std::string> files;
  Status Run(std::ostream& out) const;
};

// alertmanager.yml with its templates.
struct CheckAlertmanager {
  std::vector<std::string> files;
  Status Run(std::ostream& out) const;
};

struct TestRules {
  std::vector<std::string> files;
  std::vector<std::string> run;  // Only tests whose name matches one of these (RE2); "": all.
  std::string junit_file;
  Status Run(std::ostream& out) const;
};

}  // namespace vedette::ctl
