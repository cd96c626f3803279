#include "common/rpc/call_queue.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "proto/vedette/v1/agent.grpc.pb.h"

namespace vedette::rpc {
namespace {

// A call to nobody: its end is an event.
class Call final : public CallQueue::Event {
 public:
  explicit Call(std::function<void()> then) : then_(std::move(then)) {}
  void Start(v1::AgentService::Stub& stub, CallQueue& calls) {
    hold_ = calls.Hold();
    reader_ = stub.PrepareAsyncDescribe(&context_, {}, &calls.queue());
    reader_->StartCall();
    reader_->Finish(&response_, &status_, CallQueue::Tag(*this));
  }
  void Happened(bool /*ok*/) override {
    then_();
    hold_ = nullptr;
  }

 private:
  const std::function<void()> then_;
  std::shared_ptr<void> hold_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<v1::DescribeResponse>> reader_;
  v1::DescribeResponse response_;
  grpc::Status status_;
};

// What events bring is dealt with once, when there are no more of them; more may be put off from there.
TEST(CallQueue, AtRestWhatManyEventsBroughtIsDealtWithTogether) {
  constexpr int kCalls = 8;
  const auto stub = v1::AgentService::NewStub(
      grpc::CreateChannel("127.0.0.1:1", grpc::InsecureChannelCredentials()));
  std::vector<std::unique_ptr<Call>> calls;
  Mutex mu;
  CondVar changed;
  int waiting = 0;    // Of the queue's thread.
  int dealt_with = 0;  // Under mu.
  int rests = 0;
  std::thread::id thread;
  {
    CallQueue queue("test");
    const auto deal = [&] {
      MutexLock lock(mu);
      EXPECT_GT(waiting, 0);
      EXPECT_EQ(std::this_thread::get_id(), thread);
      dealt_with += std::exchange(waiting, 0);
      ++rests;
      changed.NotifyAll();
    };
    for (int i = 0; i < kCalls; ++i) {
      calls.push_back(std::make_unique<Call>([&] {
        thread = std::this_thread::get_id();
        if (waiting++ > 0) return;
        // Twice: the first time it looks whether more is coming.
        queue.AtRest([&] { queue.AtRest(deal, 1); }, 0);
      }));
      calls.back()->Start(*stub, queue);
    }
    MutexLock lock(mu);
    while (dealt_with < kCalls) changed.Wait(mu);
  }
  EXPECT_LE(rests, kCalls);
}

}  // namespace
}  // namespace vedette::rpc
