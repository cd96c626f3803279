#include <cstddef>
#include <cstdint>

#include "agent/probe/dns_message.h"

// A name server may be anybody. Whatever it answers, reading ends inside the message.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  (void)vedette::agent::ReadDnsAnswer({reinterpret_cast<const char*>(data), size});
  return 0;
}
