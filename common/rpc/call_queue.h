#pragma once

#include <cstdint>
#include <functional>
#include <memory>

struct grpc_call;

namespace grpc {
class CompletionQueue;
}  // namespace grpc

namespace vedette::rpc {

// CallQueue is where the events of calls are seen to that nobody waits for: a completion queue of
// gRPC and the one thread that empties it. The same thread polls the sockets, so an answer is read,
// taken apart and dealt with where it came in. With gRPC's callback interface each event passes
// through three or four threads, and to wake them costs more than the event itself: for a thousand
// agents of a thousand series that was most of what scraping them cost.
//
//   struct Answered final : rpc::CallQueue::Event {
//     void Happened(bool ok) override { … }    // On the queue's thread.
//   };
//   call->Read(&response, rpc::CallQueue::Tag(answered));
//
// Thread-safe. An event that takes long holds up those of all other calls.
class CallQueue {
 public:
  // What an operation of a call is given to come back to. Outlives the operation.
  class Event {
   public:
    virtual void Happened(bool ok) = 0;

   protected:
    ~Event() = default;
  };
  static void* Tag(Event& event) { return &event; }

  explicit CallQueue(const char* thread_name);
  // Waits until nothing is held any more: whoever has calls under way cancels them before.
  ~CallQueue();
  CallQueue(const CallQueue&) = delete;
  CallQueue& operator=(const CallQueue&) = delete;

  // For the calls that begin on it.
  grpc::CompletionQueue& queue();
  // A call keeps this from before its first operation until after its last event: so long the queue
  // stays.
  std::shared_ptr<void> Hold();

  // `event` happens on the queue's thread, soon, and belongs to no operation. `call` is one that
  // has begun on this queue; it lives until the event has happened.
  void Post(Event& event, grpc_call* call);
  // From an event: runs `then` on the queue's thread once no more events are at hand, so that what
  // many of them brought is dealt with together. The thread may sleep for `linger_ms` first, so as not
  // to be woken for each of those that are about to come; 0 if none are.
  void AtRest(std::function<void()> then, int64_t linger_ms);
  // While somebody keeps this, what is posted waits, so that the thread is woken once for many.
  std::shared_ptr<void> Gather();

 private:
  struct State;
  const std::shared_ptr<State> state_;
};

}  // namespace vedette::rpc
