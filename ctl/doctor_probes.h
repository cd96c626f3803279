#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

// What the doctor looks at that needs no server: where alerts go, and what dashboards ask for.
namespace vedette::ctl {

// "host:port" of everybody whom this alertmanager.yml tells, as /api/v2/status shows it: the addresses
// that stand in it, and the well-known one of a service whose address is a secret or its default. One
// behind a proxy is left out: what can be reached from here says nothing about it.
std::set<std::string> ReceiverAddresses(std::string_view alertmanager_yaml);

// Whether a TCP connection to "host:port" comes about.
Status Reach(const std::string& address, int64_t timeout_ms);

// The PromQL of every panel and variable of a dashboard in Grafana's JSON, its variables and macros
// replaced by something that parses.
std::vector<std::string> DashboardExpressions(std::string_view json);

}  // namespace vedette::ctl
