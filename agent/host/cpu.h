#pragma once

#include "agent/host/function_collector.h"
#include "agent/host/host.h"

namespace vedette::agent {

// cpu (time by mode, thermal throttling), cpufreq, stat (interrupts, context switches, forks, boot
// time), schedstat, softnet, loadavg, pressure: what the processors do.
void AddCpuCollectors(const HostOptions& options, Collectors& out);

}  // namespace vedette::agent
