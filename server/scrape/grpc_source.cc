#include "server/scrape/grpc_source.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <deque>
#include <string>
#include <utility>

#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "common/wire/pull.h"
#include "proto/vedette/v1/agent.grpc.pb.h"
#include "server/scrape/sequence_set.h"

namespace vedette::scrape {
namespace {

// Over so many answers the shortest way is looked for.
constexpr size_t kClockAnswers = 16;
// A live scrape that is older than the agent's clock says at its departure by more than this was
// not made for us.
constexpr size_t kMaxFrames = 1024;

Status FromGrpc(const grpc::Status& status) {
  return Status(static_cast<StatusCode>(status.error_code()), status.error_message());
}

// gRPC 1.51 takes its callback queue down with the last channel that used it, and gives it back
// once too often then (abort in grpc_cq_internal_unref, one run in five of our test). A channel
// that leads nowhere keeps the queue for the life of the process.
void KeepCallbackQueue() {
  // Nothing reads it: `used` keeps the pointer, and a leak checker then sees that it is held.
  [[gnu::used]] static const std::shared_ptr<grpc::Channel>* const kept = [] {
    auto* channel = new std::shared_ptr<grpc::Channel>(grpc::CreateChannel("", nullptr));
    const std::unique_ptr<v1::AgentService::Stub> stub = v1::AgentService::NewStub(*channel);
    grpc::ClientContext context;
    v1::DescribeRequest request;
    v1::DescribeResponse response;
    Mutex mu;
    CondVar changed;
    bool done = false;
    stub->async()->Describe(&context, &request, &response, [&](const grpc::Status&) {
      MutexLock lock(mu);
      done = true;
      changed.NotifyAll();
    });
    MutexLock lock(mu);
    while (!done) changed.Wait(mu);
    return channel;
  }();
  (void)kept;
}

// One stream: writes one message at a time, reads one at a time. Keeps itself alive until gRPC is
// done with it; whoever waits for an answer is told exactly once.
class Stream final : public grpc::ClientBidiReactor<v1::PullRequest, v1::PullResponse> {
 public:
  using Answered = std::function<void(Result<v1::PullResponse>)>;

  static std::shared_ptr<Stream> Open(v1::AgentService::Stub& stub, const v1::PullHello& hello) {
    auto stream = std::make_shared<Stream>();
    {
      MutexLock lock(stream->mu_);
      stream->self_ = stream;
      v1::PullRequest request;
      *request.mutable_hello() = hello;
      stream->queue_.push_back(std::move(request));
    }
    stub.async()->Pull(&stream->context_, stream.get());
    // Writes come from outside of gRPC's own calls, so the call must not end under them: it is held
    // until reading has ended.
    stream->AddHold();
    stream->StartRead(&stream->response_);
    {
      MutexLock lock(stream->mu_);
      stream->WriteNext();
    }
    stream->StartCall();
    return stream;
  }

  // False: the stream has ended; `answered` was not taken.
  bool Ask(const v1::PullScrape& scrape, Answered answered) {
    MutexLock lock(mu_);
    if (!held_) return false;
    waiting_id_ = scrape.id();
    answered_ = std::move(answered);
    v1::PullRequest request;
    *request.mutable_scrape() = scrape;
    queue_.push_back(std::move(request));
    WriteNext();
    return true;
  }

  void Cancel() { context_.TryCancel(); }

  // After the first answer.
  const grpc::ClientContext& context() const { return context_; }

  bool done() const {
    MutexLock lock(mu_);
    return !held_;
  }

  void OnWriteDone(bool ok) override {
    MutexLock lock(mu_);
    writing_ = false;
    if (ok) WriteNext();  // Otherwise OnReadDone(false) and OnDone follow.
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      {
        MutexLock lock(mu_);
        held_ = false;
      }
      RemoveHold();  // OnDone follows.
      return;
    }
    Answered answered;
    {
      MutexLock lock(mu_);
      if (response_.id() == waiting_id_) answered = std::exchange(answered_, nullptr);
    }
    if (answered) {
      v1::PullResponse response;
      response.Swap(&response_);
      answered(std::move(response));
    }
    StartRead(&response_);
  }

  void OnDone(const grpc::Status& status) override {
    Answered answered;
    std::shared_ptr<Stream> self;
    {
      MutexLock lock(mu_);
      answered = std::exchange(answered_, nullptr);
      self = std::move(self_);
    }
    if (!answered) return;
    answered(status.ok() ? Unavailable("the agent ended the stream") : FromGrpc(status));
  }

 private:
  void WriteNext() VEDETTE_REQUIRES(mu_) {
    if (writing_ || !held_ || queue_.empty()) return;
    writing_ = true;
    request_ = std::move(queue_.front());
    queue_.pop_front();
    StartWrite(&request_);
  }

  grpc::ClientContext context_;
  v1::PullRequest request_;    // Of the write under way.
  v1::PullResponse response_;  // Of the read under way.

  mutable Mutex mu_;
  std::shared_ptr<Stream> self_ VEDETTE_GUARDED_BY(mu_);
  std::deque<v1::PullRequest> queue_ VEDETTE_GUARDED_BY(mu_);
  bool writing_ VEDETTE_GUARDED_BY(mu_) = false;
  bool held_ VEDETTE_GUARDED_BY(mu_) = true;  // Until reading has ended.
  uint64_t waiting_id_ VEDETTE_GUARDED_BY(mu_) = 0;
  Answered answered_ VEDETTE_GUARDED_BY(mu_);
};

class GrpcSource final : public Source {
 public:
  GrpcSource(Target target, const std::shared_ptr<grpc::Channel>& channel,
             GrpcSourceOptions options)
      : target_(std::move(target)),
        options_(std::move(options)),
        stub_(v1::AgentService::NewStub(channel)),
        cursor_run_id_(options_.cursor_run_id),
        cursor_sequence_(options_.cursor_sequence) {
    if (cursor_sequence_ > 0) {
      known_.Add(std::min(options_.cursor_first, cursor_sequence_), cursor_sequence_);
    }
  }

  ~GrpcSource() override { Drop(); }

  void Start(const Request& request, Fetched fetched) override {
    if (interval_ms_ == 0) interval_ms_ = request.interval_ms;
    v1::PullScrape scrape;
    scrape.set_id(++id_);
    scrape.set_timeout_ms(request.timeout_ms);
    if (request.interval_ms != interval_ms_) {
      interval_ms_ = request.interval_ms;
      scrape.set_interval_ms(interval_ms_);
    }
    std::shared_ptr<Stream> stream = Current();
    if (stream == nullptr || stream->done()) {
      v1::PullHello hello;
      hello.set_max_version(wire::kPullVersion);
      hello.set_interval_ms(interval_ms_);
      hello.set_cursor_run_id(cursor_run_id_);
      hello.set_cursor_sequence(cursor_sequence_);
      // A connection keeps the certificates it was made with: whoever was refused, or is not
      // believed any more, may have new ones by now, which only another connection shows.
      if (std::exchange(reconnect_, false)) {
        Result<std::shared_ptr<grpc::Channel>> channel = options_.channel(target_);
        if (channel.ok()) stub_ = v1::AgentService::NewStub(*channel);
      }
      stream = Stream::Open(*stub_, hello);
      decoder_ = std::make_unique<wire::PullDecoder>();
      fresh_ = true;
      first_answer_ = true;
      MutexLock lock(mu_);
      stream_ = stream;
    }
    // The live scrape first; the gap is filled once that works.
    const uint32_t backlog = first_answer_ ? 0 : ask_backlog_;
    scrape.set_max_backlog(backlog);
    t_ms_ = request.t_ms;
    auto shared = std::make_shared<Fetched>(std::move(fetched));
    const bool asked = stream->Ask(scrape, [this, shared,
                                            backlog](Result<v1::PullResponse> response) {
      arrived_ms_ = options_.clock->NowMs();
      if (!response.ok()) {
        // Perhaps so much does not come through in the time of a scrape: a slow line or a busy node
        // would never get rid of its backlog, and be down at every other scrape.
        if (backlog > 0) ask_backlog_ = std::max(1u, backlog / 2);
        reconnect_ = response.status().code() == StatusCode::kUnauthenticated;
        (*shared)(response.status());
        return;
      }
      response_ = *std::move(response);
      (*shared)(Status());
    });
    if (!asked) (*shared)(Unavailable("the agent ended the stream"));
  }

  Status Deliver(SourceSink& sink) override {
    // A certificate that was good when the connection was made may be revoked since.
    Status status;
    if (const std::shared_ptr<Stream> stream = Current(); options_.check && stream != nullptr) {
      status = options_.check(stream->context());
      reconnect_ = !status.ok();
    }
    if (status.ok()) status = DeliverFrames(sink);
    // Positions that were not understood cannot be built on: the stream starts over.
    if (!status.ok()) Drop();
    return status;
  }

  // An agent keeps its last answer until the next request or the end of the stream: ending the
  // stream puts what could not be stored among the kept ones, which come again.
  void Stored(bool stored) override {
    if (!stored) {
      Drop();
      return;
    }
    known_.Add(live_sequence_);
    if (response_.frames_size() > 1) ask_backlog_ = std::min(ask_backlog_ + 1, options_.max_backlog);
    // Where older ones are still to come the cursor waits for them.
    if (response_.backlog() == 0) cursor_sequence_ = std::max(cursor_sequence_, live_sequence_);
    if (options_.stored) {
      options_.stored(cursor_run_id_, cursor_sequence_,
                      std::min(first_of_answer_, cursor_sequence_));
    }
  }

  void Cancel() override { Drop(); }
  void Reset() override { Drop(); }

  int64_t body_bytes() const override { return body_bytes_; }

 private:
  std::shared_ptr<Stream> Current() {
    MutexLock lock(mu_);
    return stream_;
  }

  void Drop() {
    std::shared_ptr<Stream> stream;
    {
      MutexLock lock(mu_);
      stream.swap(stream_);
    }
    if (stream != nullptr) stream->Cancel();
  }

  Status DeliverFrames(SourceSink& sink) {
    if (response_.version() > wire::kPullVersion) {
      return Unimplemented(StrCat("the agent speaks version ", response_.version(),
                                  " of the frames, this server ", wire::kPullVersion));
    }
    if (response_.frames_size() == 0) return DataLoss("the agent's answer has no frame");
    if (static_cast<size_t>(response_.frames_size()) > kMaxFrames) {
      return ResourceExhausted(StrCat("the agent's answer has ", response_.frames_size(),
                                      " frames, limit: ", kMaxFrames));
    }
    NoteClock();
    if (std::exchange(fresh_, false)) sink.OnStreamStart();
    body_bytes_ = 0;
    first_of_answer_ = UINT64_MAX;
    for (int i = 0; i < response_.frames_size(); ++i) {
      const std::string& bytes = response_.frames(i);
      body_bytes_ += static_cast<int64_t>(bytes.size());
      VEDETTE_ASSIGN_OR_RETURN(const wire::PullFrame* frame, decoder_->Decode(bytes));
      const bool live = i + 1 == response_.frames_size();
      if (frame->run_id != cursor_run_id_) {
        // Another run of the agent counts from 1 again.
        cursor_run_id_ = frame->run_id;
        cursor_sequence_ = 0;
        known_.Clear();
      }
      first_of_answer_ = std::min(first_of_answer_, frame->sequence);
      // A frame that is stored already still had to be decoded: the next one builds on it.
      const bool known = known_.Contains(frame->sequence);
      if (live || !known) {
        const int64_t t_ms = live ? t_ms_ : frame->t_ms - ClockDifference();
        VEDETTE_RETURN_IF_ERROR(sink.OnFrame(*frame, t_ms, !live));
      }
      if (live) {
        live_sequence_ = frame->sequence;
      } else {
        // The sink has committed it.
        known_.Add(frame->sequence);
        cursor_sequence_ = std::max(cursor_sequence_, frame->sequence);
      }
    }
    first_answer_ = false;
    return Status();
  }

  void NoteClock() {
    differences_.push_back(response_.now_ms() - arrived_ms_);
    if (differences_.size() > kClockAnswers) differences_.pop_front();
  }
  // The agent's clock less the server's.
  int64_t ClockDifference() const {
    return *std::max_element(differences_.begin(), differences_.end());
  }

  const Target target_;
  const GrpcSourceOptions options_;
  std::unique_ptr<v1::AgentService::Stub> stub_;
  bool reconnect_ = false;
  uint32_t ask_backlog_ = options_.max_backlog;
  std::unique_ptr<wire::PullDecoder> decoder_;
  v1::PullResponse response_;
  std::deque<int64_t> differences_;
  int64_t arrived_ms_ = 0;
  int64_t t_ms_ = 0;
  int64_t interval_ms_ = 0;
  int64_t body_bytes_ = -1;
  uint64_t id_ = 0;
  uint64_t cursor_run_id_;
  uint64_t cursor_sequence_;
  SequenceSet known_;          // Stored.
  uint64_t live_sequence_ = 0;
  uint64_t first_of_answer_ = 0;
  bool fresh_ = false;         // The decoder is new, and nobody knows yet.
  bool first_answer_ = false;  // Of this stream.
  Mutex mu_;
  std::shared_ptr<Stream> stream_ VEDETTE_GUARDED_BY(mu_);
};

}  // namespace

Result<std::unique_ptr<Source>> MakeGrpcSource(const Target& target, GrpcSourceOptions options) {
  KeepCallbackQueue();
  VEDETTE_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel, options.channel(target));
  return std::unique_ptr<Source>(std::make_unique<GrpcSource>(target, channel, std::move(options)));
}

}  // namespace vedette::scrape
