#pragma once

#include "agent/host/filter.h"
#include "agent/host/function_collector.h"
#include "agent/host/host.h"

namespace vedette::agent {

// filesystem: room and inodes of every mount that passes both filters.
void AddFilesystemCollectors(const HostOptions& options, const Filter& mount_points,
                             const Filter& fs_types, Collectors& out);

}  // namespace vedette::agent
