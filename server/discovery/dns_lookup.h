#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/config/discovery.h"

namespace vedette::discovery {

// One record of an answer: a name (SRV, MX, NS) or an address (A, AAAA).
struct DnsRecord {
  std::string target;  // Without the dot at the end.
  int port = 0;        // SRV alone.
};

// Asks the system's name servers, with the search list of resolv.conf, and waits at most
// `timeout_ms`. A name that does not exist has no records; servers that fail or do not answer are
// UNAVAILABLE. `servers` ("127.0.0.1:5353", commas between) stand in for the system's.
Result<std::vector<DnsRecord>> LookUp(const std::string& name, config::DnsRecordType type,
                                      int64_t timeout_ms, const std::string& servers = "");

}  // namespace vedette::discovery
