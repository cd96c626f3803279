#include "common/rpc/health.h"

#include <grpcpp/grpcpp.h>

#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "proto/interop/health.grpc.pb.h"

namespace vedette::rpc {
namespace {

namespace pb = grpc::health::v1;

// How soon a watcher that went away is noticed.
constexpr int64_t kLookMs = 1'000;

}  // namespace

class HealthService::Impl final : public pb::Health::Service {
 public:
  grpc::Status Check(grpc::ServerContext*, const pb::HealthCheckRequest* request,
                     pb::HealthCheckResponse* response) override {
    if (!request->service().empty()) {
      return {grpc::StatusCode::NOT_FOUND,
              StrCat("no health is kept of ", Quoted(request->service()), " by itself: ask with \"\"")};
    }
    MutexLock lock(mu_);
    response->set_status(StateNow());
    return grpc::Status::OK;
  }

  grpc::Status Watch(grpc::ServerContext* context, const pb::HealthCheckRequest* request,
                     grpc::ServerWriter<pb::HealthCheckResponse>* writer) override {
    const Place place(*this);
    if (!place.taken()) {
      return {grpc::StatusCode::RESOURCE_EXHAUSTED,
              StrCat("health is watched by ", kMaxWatches, " already: Check instead")};
    }
    pb::HealthCheckResponse response;
    auto told = pb::HealthCheckResponse::UNKNOWN;
    while (!context->IsCancelled()) {
      bool stopped = false;
      {
        MutexLock lock(mu_);
        if (told != pb::HealthCheckResponse::UNKNOWN && !stopped_) changed_.WaitFor(mu_, kLookMs);
        response.set_status(request->service().empty() ? StateNow()
                                                       : pb::HealthCheckResponse::SERVICE_UNKNOWN);
        stopped = stopped_;
      }
      if (response.status() != told && !writer->Write(response)) break;
      told = response.status();
      if (stopped) break;
    }
    return grpc::Status::OK;
  }

  void Stop() VEDETTE_EXCLUDES(mu_) {
    MutexLock lock(mu_);
    stopped_ = true;
    changed_.NotifyAll();
  }

 private:
  // One of the watches there may be.
  class Place {
   public:
    explicit Place(Impl& impl) : impl_(impl) {
      MutexLock lock(impl_.mu_);
      taken_ = impl_.watches_ < kMaxWatches;
      if (taken_) ++impl_.watches_;
    }
    ~Place() {
      if (!taken_) return;
      MutexLock lock(impl_.mu_);
      --impl_.watches_;
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    bool taken() const { return taken_; }

   private:
    Impl& impl_;
    bool taken_ = false;
  };

  pb::HealthCheckResponse::ServingStatus StateNow() const VEDETTE_REQUIRES(mu_) {
    return stopped_ ? pb::HealthCheckResponse::NOT_SERVING : pb::HealthCheckResponse::SERVING;
  }

  Mutex mu_;
  CondVar changed_;
  bool stopped_ VEDETTE_GUARDED_BY(mu_) = false;
  int watches_ VEDETTE_GUARDED_BY(mu_) = 0;
};

HealthService::HealthService() : impl_(std::make_unique<Impl>()) {}
HealthService::~HealthService() = default;

grpc::Service* HealthService::service() { return impl_.get(); }
void HealthService::Stop() { impl_->Stop(); }

}  // namespace vedette::rpc
