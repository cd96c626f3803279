#include "agent/service/agent_service.h"

#include <grpcpp/grpcpp.h>
#include <re2/re2.h>

#include <algorithm>
#include <utility>

#include "agent/service/families.h"
#include "agent/service/pull_stream.h"
#include "common/base/strings.h"
#include "common/exposition/protobuf.h"
#include "common/rpc/grpc_status.h"
#include "proto/vedette/v1/agent.grpc.pb.h"

namespace vedette::agent {
namespace {

namespace pb = vedette::v1;

constexpr int64_t kCollectTimeoutMs = 10'000;
// Who asks at the same moment shares one collection.
constexpr int64_t kMaxAgeMs = 25;
// Describe is content with what the last scrape found.
constexpr int64_t kDescribeMaxAgeMs = 60'000;
constexpr size_t kMaxRegexBytes = 4 << 10;
constexpr int64_t kRegexMemory = 8 << 20;

pb::SourceKind KindOf(SourceState::Kind kind) {
  switch (kind) {
    case SourceState::Kind::kHost:
      return pb::SOURCE_KIND_HOST;
    case SourceState::Kind::kContainer:
      return pb::SOURCE_KIND_CONTAINER;
    case SourceState::Kind::kMysql:
      return pb::SOURCE_KIND_MYSQL;
    case SourceState::Kind::kApplication:
      return pb::SOURCE_KIND_APPLICATION;
    case SourceState::Kind::kUnspecified:
      break;
  }
  return pb::SOURCE_KIND_UNSPECIFIED;
}

}  // namespace

class AgentService::Impl final : public pb::AgentService::Service {
 public:
  Impl(Options options, SnapshotTaker& taker, Ring& ring, Sampler& sampler)
      : options_(std::move(options)), taker_(taker), ring_(ring), sampler_(sampler) {}

  int pulls() const { return pulls_; }

  grpc::Status Describe(grpc::ServerContext*, const pb::DescribeRequest*,
                        pb::DescribeResponse* response) override {
    auto taken = taker_.Take({.timeout_ms = kCollectTimeoutMs, .max_age_ms = kDescribeMaxAgeMs});
    if (!taken.ok()) return rpc::ToGrpcStatus(taken.status());
    response->set_node(options_.node);
    response->set_version(options_.version);
    response->set_started_at_ms(options_.started_at_ms);
    response->set_now_ms(options_.clock->NowMs());
    if (options_.certificate_days_left != nullptr) {
      response->set_certificate_days_left(options_.certificate_days_left());
    }
    for (const SourceSnapshot& s : (*taken)->snapshot.sources) {
      pb::Source* out = response->add_sources();
      out->set_name(s.state.name);
      out->set_kind(KindOf(s.state.kind));
      out->set_up(s.state.up);
      out->set_error(s.state.error);
      out->set_duration_seconds(s.state.duration_seconds);
      out->set_address(s.state.address);
      int64_t series = 0;
      for (const MetricFamily& f : s.families) series += static_cast<int64_t>(f.samples.size());
      out->set_series(series);
    }
    for (const CollectorRun& run : (*taken)->runs) {
      pb::CollectorState* out = response->add_collectors();
      out->set_name(run.name);
      out->set_source(run.source);
      out->set_success(run.success);
      out->set_error(run.error);
      out->set_duration_seconds(run.duration_seconds);
    }
    return grpc::Status::OK;
  }

  grpc::Status Collect(grpc::ServerContext*, const pb::CollectRequest* request,
                       pb::CollectResponse* response) override {
    std::unique_ptr<re2::RE2> regex;
    if (!request->name_regex().empty()) {
      if (request->name_regex().size() > kMaxRegexBytes) {
        return rpc::ToGrpcStatus(InvalidArgument(
            StrCat("name_regex is longer than the limit of ", kMaxRegexBytes, " bytes")));
      }
      re2::RE2::Options re_options(re2::RE2::Quiet);
      re_options.set_max_mem(kRegexMemory);
      regex = std::make_unique<re2::RE2>(request->name_regex(), re_options);
      if (!regex->ok()) {
        return rpc::ToGrpcStatus(InvalidArgument(
            StrCat("name_regex ", Quoted(request->name_regex()), ": ", regex->error())));
      }
    }
    auto taken =
        taker_.Take({.timeout_ms = kCollectTimeoutMs,
                     .max_age_ms = kMaxAgeMs,
                     .sources = {request->sources().begin(), request->sources().end()},
                     .collectors = {request->collectors().begin(), request->collectors().end()}});
    if (!taken.ok()) return rpc::ToGrpcStatus(taken.status());
    response->set_collected_at_ms((*taken)->snapshot.t_ms);
    for (const MetricFamily& family : MergedFamilies((*taken)->snapshot)) {
      if (regex != nullptr && !re2::RE2::FullMatch(family.name, *regex)) continue;
      if (!response->add_families()->ParseFromString(exposition::SerializeFamily(family))) {
        return rpc::ToGrpcStatus(Internal(StrCat("family ", Quoted(family.name))));
      }
    }
    return grpc::Status::OK;
  }

  grpc::Status Pull(grpc::ServerContext* context,
                    grpc::ServerReaderWriter<pb::PullResponse, pb::PullRequest>* stream) override {
    ++pulls_;
    Status status;
    {
      PullStream pull({.taker = taker_,
                       .ring = ring_,
                       .sampler = sampler_,
                       .clock = options_.clock,
                       .pulled = options_.pulled,
                       .check_peer =
                           [&] { return options_.check_peer ? options_.check_peer(*context) : Status(); },
                       .write = [&](const pb::PullResponse& response) {
                         return stream->Write(response);
                       }});
      pb::PullRequest request;
      bool greeted = false;
      while (status.ok() && !pull.broken() && stream->Read(&request)) {
        if (request.has_hello()) {
          status = greeted ? InvalidArgument("a second hello on one stream")
                           : pull.Hello(request.hello());
          greeted = true;
        } else if (!greeted) {
          status = InvalidArgument("the first request of a stream is a hello");
        } else if (request.has_scrape()) {
          status = pull.Scrape(request.scrape());
        } else if (request.has_stored()) {
          status = pull.Stored(request.stored());
        } else {
          status = InvalidArgument("a request that is neither hello nor scrape");
        }
      }
    }
    --pulls_;
    return rpc::ToGrpcStatus(status);
  }

 private:
  const Options options_;
  SnapshotTaker& taker_;
  Ring& ring_;
  Sampler& sampler_;
  std::atomic<int> pulls_ = 0;
};

AgentService::AgentService(Options options, SnapshotTaker& taker, Ring& ring, Sampler& sampler)
    : impl_(std::make_unique<Impl>(std::move(options), taker, ring, sampler)) {}
AgentService::~AgentService() = default;

grpc::Service* AgentService::service() { return impl_.get(); }
int AgentService::pulls() const { return impl_->pulls(); }

}  // namespace vedette::agent
