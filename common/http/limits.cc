#include "common/http/limits.h"

#include <climits>

#include "common/base/strings.h"

namespace vedette::http {

void AddLimitFlags(flags::Flags& flags, Limits* limits) {
  flags.Add("web.max-connections", &limits->max_connections,
            "Most connections at one time. When there are so many, the one that has waited longest "
            "without a whole request makes room.");
  flags.Add("web.max-connections-per-second", &limits->max_connections_per_second,
            "Most new connections of one address (of IPv6: of one /64), in a burst those of 20 "
            "seconds; of all addresses together ten times as many. Beyond it they are answered 429, "
            "or with TLS closed.");
  flags.AddDuration("web.header-timeout", &limits->header_timeout_ms,
                    "How long a TLS handshake, and then a whole header, may take.");
  flags.AddSize("web.max-header-size", &limits->max_header_bytes,
                "Most bytes of a request's header.");
  flags.AddDuration("web.body-timeout", &limits->body_timeout_ms,
                    "How long a request's body may take.");
  flags.AddSize("web.max-body-size", &limits->max_body_bytes,
                "Largest body of a request, as it comes and unpacked.");
  flags.AddSize("web.max-buffered-size", &limits->max_buffered_bytes,
                "Most bytes of all bodies that are being read or worked on.");
  flags.Add("web.max-queued-requests", &limits->max_queued_requests,
            "Most requests that wait for a thread.");
}

Status CheckLimits(const Limits& limits) {
  const struct {
    const char* flag;
    int64_t value;
    int64_t most;
  } all[] = {
      {"max-connections", limits.max_connections, INT_MAX},
      {"max-connections-per-second", limits.max_connections_per_second, INT_MAX},
      {"header-timeout", limits.header_timeout_ms, INT_MAX},
      {"max-header-size", limits.max_header_bytes, INT_MAX},
      {"body-timeout", limits.body_timeout_ms, INT_MAX},
      {"max-body-size", limits.max_body_bytes, INT64_MAX},
      {"max-buffered-size", limits.max_buffered_bytes, INT64_MAX},
      {"max-queued-requests", limits.max_queued_requests, INT_MAX},
  };
  for (const auto& limit : all) {
    if (limit.value > 0 && limit.value <= limit.most) continue;
    return InvalidArgument(StrCat("--web.", limit.flag, ": ", limit.value,
                                  " is not between 1 and ", limit.most));
  }
  return {};
}

}  // namespace vedette::http
