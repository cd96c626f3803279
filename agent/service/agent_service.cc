#include "agent/service/agent_service.h"

#include <grpcpp/grpcpp.h>
#include <re2/re2.h>

#include <algorithm>
#include <utility>

#include "agent/service/families.h"
#include "common/base/strings.h"
#include "common/exposition/protobuf.h"
#include "common/rpc/grpc_status.h"
#include "common/wire/pull.h"
#include "proto/vedette/v1/agent.grpc.pb.h"

namespace vedette::agent {
namespace {

namespace pb = vedette::v1;

constexpr int64_t kCollectTimeoutMs = 10'000;
constexpr int64_t kDefaultPullTimeoutMs = 10'000;
constexpr int64_t kMaxPullTimeoutMs = 3'600'000;
// Two servers that pull at the same moment share one collection; a host that is watched ten times a
// second gets a new one each time.
constexpr int64_t kMaxAgeMs = 25;
// Describe is content with what the last scrape found.
constexpr int64_t kDescribeMaxAgeMs = 60'000;
constexpr uint32_t kMaxBacklog = 1'000;
constexpr size_t kMaxBacklogBytes = 32 << 20;
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

// A tenth of the time is left for encoding and the way back; of a short time half a second, as a busy
// machine takes no less for a large answer, and at most a quarter.
int64_t CollectionTime(int64_t timeout_ms) {
  constexpr int64_t kWayBackMs = 500;
  if (timeout_ms <= 0) timeout_ms = kDefaultPullTimeoutMs;
  timeout_ms = std::min(timeout_ms, kMaxPullTimeoutMs);
  const int64_t rest = std::max(timeout_ms / 10, std::min(kWayBackMs, timeout_ms / 4));
  return std::max<int64_t>(timeout_ms - rest, 1);
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
    PullStream state(*this);
    pb::PullRequest request;
    Status status;
    bool greeted = false;
    while (status.ok() && stream->Read(&request)) {
      if (request.has_hello()) {
        status = greeted ? InvalidArgument("a second hello on one stream") : state.Hello(request);
        greeted = true;
      } else if (request.has_scrape()) {
        pb::PullResponse response;
        if (options_.check_peer) status = options_.check_peer(*context);
        if (!status.ok()) break;
        status = greeted ? state.Scrape(request.scrape(), response)
                         : InvalidArgument("the first request of a stream is a hello");
        if (status.ok() && !stream->Write(response)) break;
      } else {
        status = InvalidArgument("a request that is neither hello nor scrape");
      }
    }
    --pulls_;
    return rpc::ToGrpcStatus(status);
  }

 private:
  // One stream: what was said on it, and what may not have arrived.
  class PullStream {
   public:
    explicit PullStream(Impl& impl) : impl_(impl) {}
    ~PullStream() {
      // The last answer was never followed by another request: keep it for who comes next.
      if (unconfirmed_ != nullptr) impl_.ring_.Push(unconfirmed_->snapshot);
    }

    Status Hello(const pb::PullRequest& request) {
      const pb::PullHello& hello = request.hello();
      if (hello.max_version() < wire::kPullVersion) {
        return FailedPrecondition(StrCat("this agent speaks version ", wire::kPullVersion,
                                         " of the pull format, the server up to ",
                                         hello.max_version()));
      }
      if (hello.cursor_run_id() == impl_.taker_.run_id() && hello.cursor_sequence() != 0) {
        const uint64_t cursor[] = {hello.cursor_sequence()};
        impl_.ring_.Done(cursor);
      }
      interval_ms_ = hello.interval_ms();
      impl_.sampler_.Pulled(interval_ms_);
      impl_.ring_.NoteInterval(interval_ms_);
      return {};
    }

    Status Scrape(const pb::PullScrape& scrape, pb::PullResponse& response) {
      // This request says that the answer before it arrived.
      impl_.ring_.Done(sent_);
      sent_.clear();
      unconfirmed_ = nullptr;
      if (scrape.interval_ms() > 0) {
        interval_ms_ = scrape.interval_ms();
        impl_.ring_.NoteInterval(interval_ms_);
      }
      auto taken = impl_.taker_.Take(
          {.timeout_ms = CollectionTime(scrape.timeout_ms()), .max_age_ms = kMaxAgeMs});
      if (!taken.ok()) return taken.status();
      impl_.sampler_.Pulled(interval_ms_);
      if (impl_.options_.pulled) impl_.options_.pulled();

      const uint64_t live[] = {(*taken)->snapshot.sequence};
      size_t bytes = 0;
      if (scrape.max_backlog() > 0) {
        for (const Snapshot& kept :
             impl_.ring_.Oldest(std::min(scrape.max_backlog(), kMaxBacklog), live)) {
          response.add_frames(encoder_.Encode(kept));
          bytes += response.frames(response.frames_size() - 1).size();
          sent_.push_back(kept.sequence);
          // The first frame of a stream has all names; the others are small.
          if (bytes > kMaxBacklogBytes) break;
        }
      }
      response.add_frames(encoder_.Encode((*taken)->snapshot));
      response.set_id(scrape.id());
      response.set_version(wire::kPullVersion);
      response.set_dropped(impl_.ring_.dropped());
      // The live one may be in the ring, too, if another stream broke off after it.
      sent_.push_back(live[0]);
      response.set_backlog(impl_.ring_.waiting(sent_));
      unconfirmed_ = *taken;
      response.set_now_ms(impl_.options_.clock->NowMs());
      return {};
    }

   private:
    Impl& impl_;
    wire::PullEncoder encoder_;
    int64_t interval_ms_ = 0;
    std::vector<uint64_t> sent_;
    std::shared_ptr<const TakenSnapshot> unconfirmed_;
  };

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
