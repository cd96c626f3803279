#pragma once

#include <cstdint>

#include "common/base/status.h"
#include "common/flags/flags.h"

namespace vedette::http {

// What a peer may do at an HTTP door. Every one is a flag of both programs.
struct Limits {
  int64_t max_header_bytes = 16 << 10;
  int64_t max_body_bytes = 128 << 20;      // Of one request, before and after decompression.
  int64_t max_buffered_bytes = 512 << 20;  // Of all request bodies in memory; beyond it 503.
  int64_t header_timeout_ms = 10'000;      // TLS handshake; then a whole header.
  int64_t body_timeout_ms = 60'000;        // A whole body.
  int64_t max_queued_requests = 1024;      // Waiting for a worker; beyond it 503.
  // When full, the connection that has waited longest without a whole request makes room; if all
  // are at work the new one is closed.
  int64_t max_connections = 512;
  // New ones of one address (peer_network.h), in a burst those of 20 seconds; of all addresses
  // together ten times as many. Beyond it plain HTTP is answered 429, and TLS closed before its
  // handshake, which costs a thousand times what accepting does.
  int64_t max_connections_per_second = 1000;
};

// --web.max-... of a program, their defaults what is in `limits`.
void AddLimitFlags(flags::Flags& flags, Limits* limits);

// Each above 0; the error names the flag.
Status CheckLimits(const Limits& limits);

}  // namespace vedette::http
