#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "ctl/http_api.h"

namespace vedette::ctl {

// Asks a running server for one; prints its name.
struct SnapshotCreate {
  Status Run(const HttpApi& api, std::ostream& out) const;
};

// Puts a snapshot where a server will look for its data. The snapshot is read whole and compared
// with its checksums first, copied and synced, and only then put in place; a storage that is there
// already is kept beside it in the folder `before-restore-…`.
struct SnapshotRestore {
  std::string snapshot;
  std::string directory;
  bool replace = false;         // Where the directory has a storage.
  bool accept_damaged = false;  // A snapshot that is not whole: what can be read of it.
  Status Run(const Clock& clock, std::ostream& out) const;
};

}  // namespace vedette::ctl
