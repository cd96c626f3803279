#pragma once

#include "agent/host/filter.h"
#include "agent/host/function_collector.h"
#include "agent/host/host.h"

namespace vedette::agent {

// diskstats: block devices, with what udev knows of them.
void AddDiskCollectors(const HostOptions& options, const Filter& devices, Collectors& out);

}  // namespace vedette::agent
