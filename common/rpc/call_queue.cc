#include "common/rpc/call_queue.h"

#include <grpc/grpc.h>
#include <grpcpp/grpcpp.h>
#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/mutex.h"

namespace vedette::rpc {
namespace {

// What is to be done at rest does not wait for ever.
constexpr int kMostAtOnce = 1024;

}  // namespace

struct CallQueue::State final : public CallQueue::Event, public grpc::internal::CompletionQueueTag {
  grpc::CompletionQueue queue;
  std::thread thread;
  Mutex mu;
  CondVar released;
  size_t held VEDETTE_GUARDED_BY(mu) = 0;
  size_t gathering VEDETTE_GUARDED_BY(mu) = 0;
  std::vector<std::pair<Event*, grpc_call*>> posted VEDETTE_GUARDED_BY(mu);
  bool woken VEDETTE_GUARDED_BY(mu) = false;  // The thread is on its way.
  // Of the thread alone.
  std::vector<std::function<void()>> at_rest;
  int64_t rest_ms = 0;

  // Wakes the thread for what is posted, unless it is on its way or more is to come.
  void Wake() VEDETTE_EXCLUDES(mu) {
    grpc_call* call;
    {
      MutexLock lock(mu);
      if (woken || gathering > 0 || posted.empty()) return;
      woken = true;
      call = posted.front().second;
    }
    // A batch without operations is done at once, and its event comes out of the queue. Any thread
    // may begin one beside the call's own.
    grpc::internal::CompletionQueueTag* const tag = this;
    if (grpc_call_start_batch(call, nullptr, 0, tag, nullptr) != GRPC_CALL_OK) Happened(false);
  }

  // The event of that batch.
  bool FinalizeResult(void** tag, bool* /*status*/) override {
    *tag = Tag(*this);
    return true;
  }
  void Happened(bool ok) override {
    std::vector<std::pair<Event*, grpc_call*>> now;
    {
      MutexLock lock(mu);
      now.swap(posted);
      woken = false;
    }
    for (const auto& [event, call] : now) event->Happened(ok);
  }

  void Run() {
    void* tag = nullptr;
    bool ok = false;
    while (queue.Next(&tag, &ok)) {
      static_cast<Event*>(tag)->Happened(ok);
      while (!at_rest.empty()) Rest();
    }
  }

  void Rest() {
    if (const int64_t linger_ms = std::exchange(rest_ms, 0); linger_ms > 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(linger_ms));
    }
    TakeWhatIsThere();
    const std::vector<std::function<void()>> now = std::exchange(at_rest, {});
    for (const std::function<void()>& then : now) then();
  }

  void TakeWhatIsThere() {
    void* tag = nullptr;
    bool ok = false;
    const gpr_timespec at_once = gpr_time_0(GPR_CLOCK_MONOTONIC);
    for (int i = 0; i < kMostAtOnce; ++i) {
      if (queue.AsyncNext(&tag, &ok, at_once) != grpc::CompletionQueue::GOT_EVENT) return;
      static_cast<Event*>(tag)->Happened(ok);
    }
  }
};

CallQueue::CallQueue(const char* thread_name) : state_(std::make_shared<State>()) {
  state_->thread = std::thread([state = state_.get()] { state->Run(); });
  pthread_setname_np(state_->thread.native_handle(), thread_name);
}

CallQueue::~CallQueue() {
  {
    MutexLock lock(state_->mu);
    while (state_->held > 0) state_->released.Wait(state_->mu);
  }
  // An operation that began after this would end the process: hence the wait.
  state_->queue.Shutdown();
  state_->thread.join();
}

grpc::CompletionQueue& CallQueue::queue() { return state_->queue; }

void CallQueue::Post(Event& event, grpc_call* call) {
  {
    MutexLock lock(state_->mu);
    state_->posted.emplace_back(&event, call);
  }
  state_->Wake();
}

void CallQueue::AtRest(std::function<void()> then, int64_t linger_ms) {
  state_->at_rest.push_back(std::move(then));
  state_->rest_ms = std::max(state_->rest_ms, linger_ms);
}

std::shared_ptr<void> CallQueue::Gather() {
  MutexLock lock(state_->mu);
  ++state_->gathering;
  return std::shared_ptr<void>(nullptr, [state = state_](void*) {
    {
      MutexLock release(state->mu);
      --state->gathering;
    }
    state->Wake();
  });
}

std::shared_ptr<void> CallQueue::Hold() {
  MutexLock lock(state_->mu);
  ++state_->held;
  // The state outlives the queue for whoever lets go of it last.
  return std::shared_ptr<void>(nullptr, [state = state_](void*) {
    MutexLock release(state->mu);
    if (--state->held == 0) state->released.NotifyAll();
  });
}

}  // namespace vedette::rpc
