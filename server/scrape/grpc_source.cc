#include "server/scrape/grpc_source.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "common/wire/pull.h"
#include "proto/vedette/v1/agent.grpc.pb.h"
#include "server/scrape/agent_stream.h"
#include "server/scrape/cadence.h"
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
// By cadence an agent is told once a minute what is stored, at most after so many frames; it goes on
// without for so many more. A line that is broken swallows them unseen, and until the agent has to stop they are in
// its memory alone.
constexpr int64_t kToldEveryMs = 60'000;
constexpr int64_t kMostUntold = 16;
constexpr uint32_t kGrace = 2;

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
    t_ms_ = request.t_ms;
    live_turn_ = 0;
    const bool even = cadence_.Continues(request.t_ms, request.interval_ms);
    const auto shared = std::make_shared<Fetched>(std::move(fetched));
    std::shared_ptr<AgentStream> stream = Current();
    if (stream != nullptr && stream->done()) stream = nullptr;
    if (stream != nullptr && even && response_.backlog() == 0 &&
        cadence_.Holds(request.t_ms, request.interval_ms, request.timeout_ms)) {
      live_turn_ = cadence_.TurnAt(request.t_ms);
      const auto came = [this, request, shared](Result<v1::PullResponse> response) {
        // Why it has ended is said to who asks.
        if (response.ok() && response->frames_size() == 0) {
          Ask(Current(), request, /*even=*/false, shared);
        } else {
          Take(std::move(response), /*backlog=*/0, *shared);
        }
      };
      if (stream->Await(id_, live_turn_, came)) return;
    }
    if (stream == nullptr) stream = Connect();
    Ask(stream, request, even, shared);
  }

  Status Deliver(SourceSink& sink) override {
    // A certificate that was good when the connection was made may be revoked since.
    Status status;
    if (const std::shared_ptr<AgentStream> stream = Current(); options_.check && stream != nullptr) {
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
    stored_sequence_ = live_sequence_;
    if (live_turn_ == 0 || (++untold_ < FramesTold() && !cadence_.wandered())) return;
    v1::PullStored told;
    told.set_sequence(live_sequence_);
    told.set_shift_ms(cadence_.Shift());
    if (const std::shared_ptr<AgentStream> stream = Current()) stream->Tell(told);
    Told();
  }

  std::optional<storage::KeyValue::Change> Receipt() override {
    if (!options_.receipt) return std::nullopt;
    const uint64_t cursor = CursorAfter();
    return options_.receipt(cursor_run_id_, cursor,
                            std::min({first_of_answer_, first_untold_, cursor}));
  }

  bool brief() const override {
    return !first_answer_ && response_.frames_size() == 1 &&
           response_.frames(0).size() <= kBriefBytes;
  }

  void Cancel() override { Drop(); }
  void Reset() override { Drop(); }

  int64_t body_bytes() const override { return body_bytes_; }

 private:
  std::shared_ptr<AgentStream> Current() {
    MutexLock lock(mu_);
    return stream_;
  }

  void Drop() {
    std::shared_ptr<AgentStream> stream;
    {
      MutexLock lock(mu_);
      stream.swap(stream_);
    }
    if (stream != nullptr) stream->Cancel();
  }

  std::shared_ptr<AgentStream> Connect() {
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
    std::shared_ptr<AgentStream> stream = AgentStream::Open(*stub_, *options_.queue, hello);
    decoder_ = std::make_unique<wire::PullDecoder>();
    fresh_ = true;
    first_answer_ = true;
    stored_sequence_ = 0;
    cadence_.End();
    MutexLock lock(mu_);
    stream_ = stream;
    return stream;
  }

  void Ask(const std::shared_ptr<AgentStream>& stream, const Request& request, bool even,
           const std::shared_ptr<Fetched>& fetched) {
    live_turn_ = 0;
    v1::PullScrape scrape;
    scrape.set_id(++id_);
    scrape.set_timeout_ms(request.timeout_ms);
    if (request.interval_ms != interval_ms_) {
      interval_ms_ = request.interval_ms;
      scrape.set_interval_ms(interval_ms_);
    }
    // The live scrape first; the gap is filled once that works.
    const uint32_t backlog = first_answer_ ? 0 : ask_backlog_;
    scrape.set_max_backlog(backlog);
    scrape.set_stored_sequence(stored_sequence_);
    // Of what an older stream left in the agent's ring some may come again until that is empty.
    tells_ = !first_answer_ && response_.backlog() == 0;
    cadence_.End();
    const int64_t first_in_ms = request.t_ms + request.interval_ms - options_.clock->NowMs();
    const bool lasts = even && !first_answer_ && first_in_ms > 0 && first_in_ms <= interval_ms_;
    if (lasts) {
      scrape.mutable_cadence()->set_first_in_ms(first_in_ms);
      scrape.mutable_cadence()->set_window(FramesTold() + kGrace);
      cadence_.Begin(request.t_ms, request.interval_ms, request.timeout_ms);
    }
    const auto came = [this, fetched, backlog, lasts](Result<v1::PullResponse> response) {
      if (lasts && response.ok() && response->cadence()) cadence_.Agree();
      Take(std::move(response), backlog, *fetched);
    };
    if (stream == nullptr || !stream->Ask(scrape, came)) {
      (*fetched)(Unavailable("the agent ended the stream"));
    }
  }

  void Take(Result<v1::PullResponse> response, uint32_t backlog, const Fetched& fetched) {
    arrived_ms_ = options_.clock->NowMs();
    if (!response.ok()) {
      // Perhaps so much does not come through in the time of a scrape: a slow line or a busy node
      // would never get rid of its backlog, and be down at every other scrape.
      if (backlog > 0) ask_backlog_ = std::max(1u, backlog / 2);
      reconnect_ = response.status().code() == StatusCode::kUnauthenticated;
      fetched(response.status());
      return;
    }
    response_ = *std::move(response);
    fetched(Status());
  }

  uint32_t FramesTold() const {
    return static_cast<uint32_t>(
        std::clamp<int64_t>(kToldEveryMs / std::max<int64_t>(interval_ms_, 1), 1, kMostUntold));
  }
  // The agent knows how far it has been stored.
  void Told() {
    untold_ = 0;
    first_untold_ = UINT64_MAX;
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
    if (response_.turn() != live_turn_) {
      return Unavailable(StrCat("the agent goes on with scrape ", response_.turn(),
                                " of its cadence where ", live_turn_, " is due"));
    }
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
        Told();
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
        NoteTimes(*frame);
      } else {
        // The sink has committed it.
        known_.Add(frame->sequence);
        cursor_sequence_ = std::max(cursor_sequence_, frame->sequence);
      }
    }
    first_answer_ = false;
    return Status();
  }

  // When the live frame was made, and came, for the cadence.
  void NoteTimes(const wire::PullFrame& frame) {
    // By the agent's clock alone.
    const int64_t made_ms = std::max<int64_t>(0, response_.now_ms() - frame.t_ms);
    if (live_turn_ == 0) {
      if (tells_) Told();
    } else {
      cadence_.NoteLateness(arrived_ms_ - t_ms_ - made_ms);
    }
    first_untold_ = std::min(first_untold_, frame.sequence);
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
  Cadence cadence_;
  uint64_t live_turn_ = 0;        // Of the scrape under way; 0: it was asked for.
  uint64_t stored_sequence_ = 0;  // The last live frame of this stream that is stored.
  bool tells_ = false;            // The request under way tells the agent of all that it may keep.
  // Frames of the cadence that the agent does not know to be stored: how many, and the lowest of all
  // that may come again.
  uint64_t untold_ = 0;
  uint64_t first_untold_ = UINT64_MAX;
  bool fresh_ = false;         // The decoder is new, and nobody knows yet.
  bool first_answer_ = false;  // Of this stream.
  Mutex mu_;
  std::shared_ptr<AgentStream> stream_ VEDETTE_GUARDED_BY(mu_);
};

}  // namespace

Result<std::unique_ptr<Source>> MakeGrpcSource(const Target& target, GrpcSourceOptions options) {
  VEDETTE_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel, options.channel(target));
  return std::unique_ptr<Source>(std::make_unique<GrpcSource>(target, channel, std::move(options)));
}

}  // namespace vedette::scrape
