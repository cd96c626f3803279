#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/snapshot/ring.h"
#include "agent/snapshot/sampler.h"
#include "agent/snapshot/snapshot_taker.h"
#include "common/base/clock.h"
#include "common/base/status.h"

namespace grpc {
class ServerContextBase;
class Service;
}  // namespace grpc

namespace vedette::agent {

// vedette.v1.AgentService: Describe, Collect and Pull over a snapshot taker. A pull stream takes
// what the ring kept along with the live scrape; a live scrape of which nobody knows whether it
// arrived goes into the ring (PullStream).
//
// Each open Pull holds a thread of gRPC's, and one more if its server sets a cadence. Thread-safe.
class AgentService {
 public:
  struct Options {
    std::string node;  // The name in the certificate, or the host's.
    std::string version;
    int64_t started_at_ms = 0;
    // Days until our certificate ends; 0 without one. May be null.
    std::function<double()> certificate_days_left;
    std::function<void()> pulled;  // At each scrape by a server. May be null.
    // Asked at every scrape of an open Pull whether the caller is still to be believed. May be
    // null.
    std::function<Status(const grpc::ServerContextBase& context)> check_peer;
    const Clock* clock = &SystemClock();
  };

  // All three must outlive the service.
  AgentService(Options options, SnapshotTaker& taker, Ring& ring, Sampler& sampler);
  ~AgentService();
  AgentService(const AgentService&) = delete;
  AgentService& operator=(const AgentService&) = delete;

  grpc::Service* service();
  // Streams that are open now.
  int pulls() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vedette::agent
