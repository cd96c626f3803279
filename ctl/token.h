#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "ctl/output.h"

// vedettectl token …: join tokens of the CA in a directory.
namespace vedette::ctl {

// What a token is good for, as flags.
struct TokenFlags {
  std::string dir;
  std::string role;
  std::string name;
  std::vector<std::string> sans;
  std::string ttl = "1h";
  int uses = 1;
  double days = 90;
};

struct TokenCreate {
  TokenFlags flags;
  // The token, alone on a line, goes to `out`; what it is good for to `notes`.
  Status Run(const Clock& clock, std::ostream& out, std::ostream& notes) const;
};

// A secret that was chosen beforehand. A token that is there already is fine, used up or not: a
// script may run twice.
struct TokenAdd {
  TokenFlags flags;
  std::string secret_file;
  Status Run(const Clock& clock, std::ostream& out) const;
};

struct TokenList {
  std::string dir;
  Format format = Format::kTable;
  Status Run(const Clock& clock, std::ostream& out) const;
};

struct TokenRemove {
  std::string dir;
  std::string id;
  Status Run(const Clock& clock, std::ostream& out) const;
};

}  // namespace vedette::ctl
