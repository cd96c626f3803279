#pragma once

#include <sys/socket.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "agent/probe/prober.h"

namespace vedette::agent {

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  std::string text;  // "10.0.0.7"
  bool ip6 = false;
  double lookup_seconds = 0;
};

// "host:port", "[::1]:port", or a host alone: port is then "".
std::pair<std::string, std::string> SplitHostPort(std::string_view text);

// The address to probe, as the module wants its family; adds probe_dns_lookup_time_seconds,
// probe_ip_protocol and probe_ip_addr_hash. Nothing, and a line in the log, where there is none, and
// for link-local addresses, where clouds keep a machine's keys (link_local.h).
std::optional<Address> Resolve(const std::string& host, const std::string& port,
                               const IpChoice& choice, ProbeRun& run);

}  // namespace vedette::agent
