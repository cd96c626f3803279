#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/status.h"

namespace vedette::agent {

// A question as it goes out: one name, one type, class IN. INVALID_ARGUMENT for what is no name.
Result<std::string> MakeDnsQuery(uint16_t id, std::string_view name, int type, int query_class,
                                 bool recursion_desired);

// What the header of an answer says, and the serial of the first SOA record in it.
struct DnsAnswer {
  uint16_t id = 0;
  bool response = false;
  bool truncated = false;
  int rcode = 0;
  int answers = 0, authorities = 0, additionals = 0;
  int64_t serial = -1;
};
// Every byte may be hostile: DATA_LOSS for what is no message.
Result<DnsAnswer> ReadDnsAnswer(std::string_view bytes);

}  // namespace vedette::agent
