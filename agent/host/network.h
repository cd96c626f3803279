#pragma once

#include "agent/host/filter.h"
#include "agent/host/function_collector.h"
#include "agent/host/host.h"

namespace vedette::agent {

// netdev (traffic of every interface) and netclass (what /sys/class/net says of it).
void AddInterfaceCollectors(const HostOptions& options, const Filter& netdev,
                            const Filter& netclass, Collectors& out);

// netstat, sockstat, udp_queues, conntrack, arp: what the protocols count.
void AddProtocolCollectors(const HostOptions& options, const Filter& netstat_fields,
                           Collectors& out);

}  // namespace vedette::agent
