#pragma once

#include <memory>

namespace grpc {
class Service;
}  // namespace grpc

namespace vedette::rpc {

// HealthService is the standard grpc.health.v1.Health: the program (the service called "") serves until
// Stop. gRPC brings one of its own, but for it starts threads that wake up twice a second for ever
// and take part in every call's polling: on an agent that is asked every fifteen seconds they cost as
// much as half a collection. This one runs on the threads of the other services.
//
// A Watch holds a thread as long as it lasts, so there are at most kMaxWatches; RESOURCE_EXHAUSTED
// beyond. Thread-safe.
class HealthService {
 public:
  static constexpr int kMaxWatches = 16;

  HealthService();
  ~HealthService();
  HealthService(const HealthService&) = delete;
  HealthService& operator=(const HealthService&) = delete;

  grpc::Service* service();

  // From now on NOT_SERVING: watchers are told, and their calls end.
  void Stop();

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace vedette::rpc
