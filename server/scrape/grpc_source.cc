#include "server/scrape/grpc_source.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "common/rpc/call_queue.h"
#include "common/wire/pull.h"
#include "proto/vedette/v1/agent.grpc.pb.h"
#include "server/scrape/sequence_set.h"
#include "server/storage/key_value.h"

namespace vedette::scrape {
namespace {

// Over so many answers the shortest way is looked for.
constexpr size_t kClockAnswers = 16;
// A live scrape that is older than the agent's clock says at its departure by more than this was
// not made for us.
constexpr size_t kMaxFrames = 1024;
// An answer of one frame up to this size is decoded and stored in less time than another thread is
// woken: some tens of thousands of values.
constexpr size_t kBriefBytes = 32 << 10;

Status FromGrpc(const grpc::Status& status) {
  return Status(static_cast<StatusCode>(status.error_code()), status.error_message());
}

// One stream: writes one message at a time, reads one at a time. All it does with gRPC it does on
// its queue's thread, so that nobody has to be woken when it is done. Keeps itself alive until its
// last event; whoever waits for an answer is told exactly once.
class Stream final {
 public:
  using Answered = std::function<void(Result<v1::PullResponse>)>;

  explicit Stream(rpc::CallQueue& calls) : hold_(calls.Hold()), calls_(calls) {}

  static std::shared_ptr<Stream> Open(v1::AgentService::Stub& stub, rpc::CallQueue& calls,
                                      const v1::PullHello& hello) {
    auto stream = std::make_shared<Stream>(calls);
    {
      MutexLock lock(stream->mu_);
      stream->self_ = stream;
      v1::PullRequest request;
      *request.mutable_hello() = hello;
      stream->queue_.push_back(std::move(request));
    }
    stream->call_ = stub.PrepareAsyncPull(&stream->context_, &calls.queue());
    stream->call_->StartCall(rpc::CallQueue::Tag(stream->started_));
    return stream;
  }

  // False: the stream has ended; `answered` was not taken.
  bool Ask(const v1::PullScrape& scrape, Answered answered) {
    {
      MutexLock lock(mu_);
      if (!held_) return false;
      waiting_id_ = scrape.id();
      answered_ = std::move(answered);
      v1::PullRequest request;
      *request.mutable_scrape() = scrape;
      queue_.push_back(std::move(request));
      if (!open_ || waking_) return true;  // Who comes next sends it.
      waking_ = true;
    }
    calls_.Post(woken_, context_.c_call());
    return true;
  }

  void Cancel() { context_.TryCancel(); }

  // After the first answer.
  const grpc::ClientContext& context() const { return context_; }

  bool done() const {
    MutexLock lock(mu_);
    return !held_;
  }

 private:
  // One kind of event of this stream.
  class Step final : public rpc::CallQueue::Event {
   public:
    Step(Stream& stream, void (Stream::*then)(bool ok)) : stream_(stream), then_(then) {}
    void Happened(bool ok) override { (stream_.*then_)(ok); }

   private:
    Stream& stream_;
    void (Stream::*const then_)(bool ok);
  };

  void Started(bool ok) {
    if (!ok) {
      Finish();
      return;
    }
    call_->Read(&response_, rpc::CallQueue::Tag(read_));
    MutexLock lock(mu_);
    open_ = true;
    WriteNext();
  }

  void Read(bool ok) {
    if (!ok) {
      Finish();
      return;
    }
    Answered answered;
    {
      MutexLock lock(mu_);
      if (response_.id() == waiting_id_) answered = std::exchange(answered_, nullptr);
    }
    v1::PullResponse response;
    response.Swap(&response_);
    call_->Read(&response_, rpc::CallQueue::Tag(read_));
    // Last, as it may take its time, and may let go of this stream.
    if (answered) answered(std::move(response));
  }

  void Woken(bool /*ok*/) {
    std::shared_ptr<Stream> last;
    MutexLock lock(mu_);
    waking_ = false;
    WriteNext();
    last = LetGo();
  }

  void Written(bool ok) {
    std::shared_ptr<Stream> last;
    MutexLock lock(mu_);
    writing_ = false;
    if (ok) WriteNext();  // Otherwise reading fails too.
    last = LetGo();
  }

  void Finish() {
    {
      MutexLock lock(mu_);
      held_ = false;
    }
    call_->Finish(&status_, rpc::CallQueue::Tag(finished_));
  }

  void Finished(bool /*ok*/) {
    Answered answered;
    std::shared_ptr<Stream> last;
    {
      MutexLock lock(mu_);
      answered = std::exchange(answered_, nullptr);
      over_ = true;
      last = LetGo();
    }
    if (!answered) return;
    answered(status_.ok() ? Unavailable("the agent ended the stream") : FromGrpc(status_));
  }

  void WriteNext() VEDETTE_REQUIRES(mu_) {
    if (!open_ || writing_ || !held_ || queue_.empty()) return;
    writing_ = true;
    request_ = std::move(queue_.front());
    queue_.pop_front();
    call_->Write(request_, rpc::CallQueue::Tag(written_));
  }

  // What kept this alive, once no event is to come any more. The caller drops it without the lock.
  std::shared_ptr<Stream> LetGo() VEDETTE_REQUIRES(mu_) {
    if (!over_ || writing_ || waking_) return nullptr;
    return std::move(self_);
  }

  const std::shared_ptr<void> hold_;  // Of the queue: goes last.
  rpc::CallQueue& calls_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<v1::PullRequest, v1::PullResponse>> call_;
  Step started_{*this, &Stream::Started};
  Step read_{*this, &Stream::Read};
  Step written_{*this, &Stream::Written};
  Step woken_{*this, &Stream::Woken};
  Step finished_{*this, &Stream::Finished};
  v1::PullRequest request_;    // Of the write under way.
  v1::PullResponse response_;  // Of the read under way.
  grpc::Status status_;        // How it ended.

  mutable Mutex mu_;
  std::shared_ptr<Stream> self_ VEDETTE_GUARDED_BY(mu_);
  std::deque<v1::PullRequest> queue_ VEDETTE_GUARDED_BY(mu_);
  bool open_ VEDETTE_GUARDED_BY(mu_) = false;  // The call has begun.
  bool writing_ VEDETTE_GUARDED_BY(mu_) = false;
  bool waking_ VEDETTE_GUARDED_BY(mu_) = false;  // The queue's thread is on its way.
  bool held_ VEDETTE_GUARDED_BY(mu_) = true;     // Until reading has ended.
  bool over_ VEDETTE_GUARDED_BY(mu_) = false;    // gRPC has said how it ended.
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
      stream = Stream::Open(*stub_, *options_.queue, hello);
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
    cursor_sequence_ = CursorAfter();
  }

  std::optional<storage::KeyValue::Change> Receipt() override {
    if (!options_.receipt) return std::nullopt;
    const uint64_t cursor = CursorAfter();
    return options_.receipt(cursor_run_id_, cursor, std::min(first_of_answer_, cursor));
  }

  bool brief() const override {
    return !first_answer_ && response_.frames_size() == 1 &&
           response_.frames(0).size() <= kBriefBytes;
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

  // Where the cursor stands once this answer is stored: where older frames are still to come it
  // waits for them.
  uint64_t CursorAfter() const {
    return response_.backlog() == 0 ? std::max(cursor_sequence_, live_sequence_) : cursor_sequence_;
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
      if (!live && known_.Contains(frame->sequence)) {
        VEDETTE_RETURN_IF_ERROR(sink.OnKnownFrame(*frame));
      } else {
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
  VEDETTE_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel, options.channel(target));
  return std::unique_ptr<Source>(std::make_unique<GrpcSource>(target, channel, std::move(options)));
}

}  // namespace vedette::scrape
