#pragma once

#include <memory>
#include <string>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "server/tsdb/tsdb.h"

namespace vedette::ctl {

// A data directory or a snapshot, opened without changing anything in it.
Result<std::unique_ptr<tsdb::Tsdb>> ReadStorage(const std::string& directory, const Clock& clock);

// kFailedPrecondition where a process has the storage in `directory` open; its end is `remedy`.
Status NotInUse(const std::string& directory, const std::string& remedy);

}  // namespace vedette::ctl
