#include "common/rpc/limits.h"

#include <climits>

#include "common/base/strings.h"

namespace vedette::rpc {

void AddLimitFlags(flags::Flags& flags, Limits* limits) {
  flags.Add("grpc.max-concurrent-streams", &limits->max_concurrent_streams,
            "Most calls that go on at one time on a connection.");
  flags.AddSize("grpc.max-metadata-size", &limits->max_metadata_bytes,
                "Most bytes of a call's headers.");
  flags.AddSize("grpc.max-message-size", &limits->max_receive_bytes, "Largest message taken in.");
  flags.AddDuration("grpc.min-ping-interval", &limits->min_ping_interval_ms,
                    "A peer that pings more often is cut off.");
  flags.AddDuration("grpc.max-connection-age", &limits->max_connection_age_ms,
                    "After how long a connection is made anew, so that its certificates are.");
  flags.AddDuration("grpc.handshake-timeout", &limits->handshake_timeout_ms,
                    "How long TLS and the first frames of a connection may take.");
  flags.Add("grpc.max-connections-per-second", &limits->max_connections_per_second,
            "Most new connections of one address (of IPv6: of one /64), in a burst those of 20 seconds; "
            "of all addresses together ten times as many. Beyond it they are closed before TLS.");
  flags.Add("grpc.max-reconnects-per-second", &limits->max_reconnects_per_second,
            "Most new connections of one certificate, in a burst those of a minute; beyond it, it is "
            "refused until it has been quiet for ten seconds.");
  flags.Add("grpc.max-calls-per-second", &limits->max_calls_per_second,
            "Most calls of one certificate, twice as many in a burst; beyond it, its calls are "
            "refused until it has been quiet for ten seconds.");
  flags.AddSize("grpc.max-bytes-per-second", &limits->max_bytes_per_second,
                "Most bytes of one certificate; a burst may be those of eight seconds and one message. "
                "Beyond it, its connections are cut off.");
  flags.AddSize("grpc.max-control-bytes-per-second", &limits->max_control_bytes_per_second,
                "Likewise of bytes that no call and no message accounts for, such as PING and SETTINGS "
                "frames; a burst may be those of 64 seconds and one message.");
}

Status CheckLimits(const Limits& limits) {
  const struct {
    const char* flag;
    int64_t value;
  } all[] = {
      {"max-concurrent-streams", limits.max_concurrent_streams},
      {"max-metadata-size", limits.max_metadata_bytes},
      {"max-message-size", limits.max_receive_bytes},
      {"min-ping-interval", limits.min_ping_interval_ms},
      {"max-connection-age", limits.max_connection_age_ms},
      {"handshake-timeout", limits.handshake_timeout_ms},
      {"max-connections-per-second", limits.max_connections_per_second},
      {"max-reconnects-per-second", limits.max_reconnects_per_second},
      {"max-calls-per-second", limits.max_calls_per_second},
      {"max-bytes-per-second", limits.max_bytes_per_second},
      {"max-control-bytes-per-second", limits.max_control_bytes_per_second},
  };
  for (const auto& limit : all) {
    if (limit.value > 0 && limit.value <= INT_MAX) continue;
    return InvalidArgument(StrCat("--grpc.", limit.flag, ": ", limit.value,
                                  " is not between 1 and ", INT_MAX));
  }
  return {};
}

}  // namespace vedette::rpc
