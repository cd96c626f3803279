#pragma once

#include <istream>
#include <ostream>

#include "common/base/status.h"

namespace vedette::ctl {

// vedettectl hash-password: a bcrypt hash for basic_auth_users of a web configuration file. The
// password comes from standard input, never from the command line, which everybody on a machine can
// read; a line break at its end is not part of it.
struct HashPassword {
  int cost = 10;
  Status Run(std::istream& in, std::ostream& out) const;
};

}  // namespace vedette::ctl
