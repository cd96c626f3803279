#pragma once

#include <grpcpp/grpcpp.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/rpc/call_queue.h"
#include "proto/vedette/v1/agent.grpc.pb.h"

// Private to server/scrape: gRPC and generated headers go no further.
namespace vedette::scrape {

// AgentStream is one AgentService.Pull: it writes one message at a time and reads one at a time. All
// it does with gRPC it does on its queue's thread, so that nobody has to be woken when it is done.
// Keeps itself alive until its last event; whoever waits for an answer is told exactly once.
//
// What the agent sends by itself before somebody waits for it is held, and handed over in front of
// what is waited for next: frames stand on those before them.
class AgentStream final {
 public:
  using Answered = std::function<void(Result<v1::PullResponse>)>;

  // Held messages of the agent's own: a server that does not take them for so long has other
  // worries, and an agent that sends more than it may is cut off. They come again.
  static constexpr size_t kMaxHeld = 32;
  static constexpr size_t kMaxHeldBytes = 32 << 20;

  explicit AgentStream(rpc::CallQueue& calls) : hold_(calls.Hold()), calls_(calls) {}

  static std::shared_ptr<AgentStream> Open(v1::AgentService::Stub& stub, rpc::CallQueue& calls,
                                           const v1::PullHello& hello);

  // False: the stream has ended; `answered` was not taken. One at a time, Ask or Await.
  bool Ask(const v1::PullScrape& scrape, Answered answered) VEDETTE_EXCLUDES(mu_);
  // The frame of this turn of the cadence that request `id` has set; what comes instead if the agent
  // goes on after it, or has ended the cadence (no frame). False as above, or it has ended already.
  bool Await(uint64_t id, uint64_t turn, Answered answered) VEDETTE_EXCLUDES(mu_);
  // Nothing comes back.
  void Tell(const v1::PullStored& stored) VEDETTE_EXCLUDES(mu_);

  void Cancel() { context_.TryCancel(); }

  // After the first answer.
  const grpc::ClientContext& context() const { return context_; }

  bool done() const VEDETTE_EXCLUDES(mu_) {
    MutexLock lock(mu_);
    return !reading_;
  }

 private:
  // One kind of event of this stream.
  class Step final : public rpc::CallQueue::Event {
   public:
    Step(AgentStream& stream, void (AgentStream::*then)(bool ok)) : stream_(stream), then_(then) {}
    void Happened(bool ok) override { (stream_.*then_)(ok); }

   private:
    AgentStream& stream_;
    void (AgentStream::*const then_)(bool ok);
  };

  void Started(bool ok) VEDETTE_EXCLUDES(mu_);
  void Read(bool ok) VEDETTE_EXCLUDES(mu_);
  void Woken(bool ok) VEDETTE_EXCLUDES(mu_);
  void Written(bool ok) VEDETTE_EXCLUDES(mu_);
  void Finish() VEDETTE_EXCLUDES(mu_);
  void Finished(bool ok) VEDETTE_EXCLUDES(mu_);
  void WriteNext() VEDETTE_REQUIRES(mu_);
  // True: its thread has to be woken, by whoever asked, without the lock.
  bool NeedsWaking() VEDETTE_REQUIRES(mu_);
  bool IsAwaited(const v1::PullResponse& response) const VEDETTE_REQUIRES(mu_);
  // Puts what is held in front.
  void TakeHeld(v1::PullResponse& response) VEDETTE_REQUIRES(mu_);
  bool Hold(v1::PullResponse response) VEDETTE_REQUIRES(mu_);
  // What kept this alive, once no event is to come any more. The caller drops it without the lock.
  std::shared_ptr<AgentStream> LetGo() VEDETTE_REQUIRES(mu_);

  const std::shared_ptr<void> hold_;  // Of the queue: goes last.
  rpc::CallQueue& calls_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<v1::PullRequest, v1::PullResponse>> call_;
  Step started_{*this, &AgentStream::Started};
  Step read_{*this, &AgentStream::Read};
  Step written_{*this, &AgentStream::Written};
  Step woken_{*this, &AgentStream::Woken};
  Step finished_{*this, &AgentStream::Finished};
  v1::PullRequest request_;    // Of the write under way.
  v1::PullResponse response_;  // Of the read under way.
  grpc::Status status_;        // How it ended.

  mutable Mutex mu_;
  std::shared_ptr<AgentStream> self_ VEDETTE_GUARDED_BY(mu_);
  std::deque<v1::PullRequest> queue_ VEDETTE_GUARDED_BY(mu_);
  bool open_ VEDETTE_GUARDED_BY(mu_) = false;  // The call has begun.
  bool writing_ VEDETTE_GUARDED_BY(mu_) = false;
  bool waking_ VEDETTE_GUARDED_BY(mu_) = false;  // The queue's thread is on its way.
  bool reading_ VEDETTE_GUARDED_BY(mu_) = true;  // Until reading has ended.
  bool over_ VEDETTE_GUARDED_BY(mu_) = false;    // gRPC has said how it ended.
  // What is waited for: the answer to this request, or from this turn of its cadence on.
  uint64_t waiting_id_ VEDETTE_GUARDED_BY(mu_) = 0;
  uint64_t waiting_turn_ VEDETTE_GUARDED_BY(mu_) = 0;
  Answered answered_ VEDETTE_GUARDED_BY(mu_);
  std::vector<v1::PullResponse> held_ VEDETTE_GUARDED_BY(mu_);
  size_t held_bytes_ VEDETTE_GUARDED_BY(mu_) = 0;
  uint64_t ended_id_ VEDETTE_GUARDED_BY(mu_) = 0;  // The cadence that the agent has ended.
};

}  // namespace vedette::scrape
