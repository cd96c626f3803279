#pragma once

#include <cstdint>

#include "common/base/status.h"
#include "common/flags/flags.h"

namespace vedette::rpc {

// What a peer may do at a gRPC door, good certificate or not. Every one is a flag of both programs.
struct Limits {
  int64_t max_concurrent_streams = 100;  // Per connection.
  int64_t max_metadata_bytes = 16 << 10;
  int64_t max_receive_bytes = 16 << 20;  // Of one message.
  int64_t max_send_bytes = 256 << 20;
  int64_t min_ping_interval_ms = 10'000;      // A peer that pings more often is cut off.
  int64_t max_connection_age_ms = 3'600'000;  // Connections are renewed, so certificates are, too.
  int64_t max_connection_grace_ms = 60'000;
  int64_t handshake_timeout_ms = 10'000;  // TLS and the first frames of HTTP/2, then it is cut off.

  // Floods. Of an address (peer_network.h), before TLS; a burst may be those of 20 seconds, and all
  // addresses together may make ten times as many. Behind one address may be a fleet.
  int64_t max_connections_per_second = 100;
  // Of a certificate: new connections, in a burst those of a minute,
  int64_t max_reconnects_per_second = 5;
  // and on all its connections together:
  int64_t max_calls_per_second = 1000;              // In bursts twice as many.
  int64_t max_bytes_per_second = 2 << 20;           // In a burst those of eight seconds, and a message.
  int64_t max_control_bytes_per_second = 64 << 10;  // Of 64 seconds; byte_budget.h says what counts.
};

// --grpc.max-... of a program, their defaults what is in `limits`.
void AddLimitFlags(flags::Flags& flags, Limits* limits);

// Each above 0 and small enough for gRPC; the error names the flag.
Status CheckLimits(const Limits& limits);

}  // namespace vedette::rpc
