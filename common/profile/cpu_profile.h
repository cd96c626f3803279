#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "common/base/status.h"

namespace vedette::profile {

// Samples the stacks of whatever runs in this process, a hundred times for each second of CPU time, and
// gives them in pprof's format (profile.proto, gzipped), as Go's /debug/pprof/profile does:
//
//   go tool pprof -http=: vedette-server profile.pb.gz
//
// Locations carry addresses and mappings with build ids, names where the dynamic symbol table has
// them; pprof finds the others in the program's file.
//
// Blocks for `duration_ms`, or until `cancelled` is true. One at a time: RESOURCE_EXHAUSTED
// otherwise. Costs about one percent of a core while it runs, and a few MiB.
Result<std::string> ProfileCpu(int64_t duration_ms, const std::function<bool()>& cancelled);

}  // namespace vedette::profile
