#pragma once

#include "agent/host/filter.h"
#include "agent/host/function_collector.h"
#include "agent/host/host.h"

namespace vedette::agent {

// meminfo and vmstat.
void AddMemoryCollectors(const HostOptions& options, const Filter& vmstat_fields, Collectors& out);

}  // namespace vedette::agent
