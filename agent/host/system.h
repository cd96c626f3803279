#pragma once

#include "agent/host/function_collector.h"
#include "agent/host/host.h"

namespace vedette::agent {

// uname, os, time, timex, filefd, entropy, selinux, thermal_zone: the machine as a whole.
void AddSystemCollectors(const HostOptions& options, Collectors& out);

}  // namespace vedette::agent
