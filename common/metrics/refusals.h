#pragma once

#include <cstdint>
#include <string_view>

namespace vedette::metrics {

class Registry;

// The limits whose refusals are counted here, each under its flag. Others have metrics of their own:
// those of scrapes, of the storage, and of gRPC's doors.
enum class Limit : uint8_t {
  kQueryLength,
  kQueryDepth,
  kQuerySamples,
  kQueryMemory,
  kQueryTimeout,
  kQueriesWaiting,
  kHeaderSize,
  kHeaderTimeout,
  kBodySize,
  kBodyTimeout,
  kBufferedBodies,
  kQueuedRequests,
  kConnectionsPerSecond,
  kWriteSize,
  kDecodedWriteSize,
  kEnrolRequests,
  kEnrolRequestsOfAddress,
};

// "query.max-length": as it is written behind two dashes.
std::string_view FlagOf(Limit limit);

// Of the whole process, so that whoever applies a limit need not be handed a counter. Thread-safe.
void CountRefusal(Limit limit);
uint64_t Refusals(Limit limit);

// vedette_limit_refusals_total{flag}. Of an agent only those of its HTTP door.
enum class Doors : uint8_t { kServer, kAgent };
void AddRefusals(Registry& registry, Doors doors);

}  // namespace vedette::metrics
