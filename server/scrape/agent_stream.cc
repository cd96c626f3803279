#include "server/scrape/agent_stream.h"

#include <utility>

#include "common/base/status.h"

namespace vedette::scrape {
namespace {

Status FromGrpc(const grpc::Status& status) {
  return Status(static_cast<StatusCode>(status.error_code()), status.error_message());
}

}  // namespace

std::shared_ptr<AgentStream> AgentStream::Open(v1::AgentService::Stub& stub, rpc::CallQueue& calls,
                                               const v1::PullHello& hello) {
  auto stream = std::make_shared<AgentStream>(calls);
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

bool AgentStream::Ask(const v1::PullScrape& scrape, Answered answered) {
  {
    MutexLock lock(mu_);
    if (!reading_) return false;
    waiting_id_ = scrape.id();
    waiting_turn_ = 0;
    answered_ = std::move(answered);
    v1::PullRequest request;
    *request.mutable_scrape() = scrape;
    queue_.push_back(std::move(request));
    if (!NeedsWaking()) return true;
  }
  calls_.Post(woken_, context_.c_call());
  return true;
}

bool AgentStream::Await(uint64_t id, uint64_t turn, Answered answered) {
  {
    MutexLock lock(mu_);
    if (!reading_ || ended_id_ == id) return false;
    waiting_id_ = id;
    waiting_turn_ = turn;
    answered_ = std::move(answered);
    // What is there already is handed over where everything is.
    if (held_.empty() || !IsAwaited(held_.back()) || !NeedsWaking()) return true;
  }
  calls_.Post(woken_, context_.c_call());
  return true;
}

void AgentStream::Tell(const v1::PullStored& stored) {
  {
    MutexLock lock(mu_);
    if (!reading_) return;
    v1::PullRequest request;
    *request.mutable_stored() = stored;
    queue_.push_back(std::move(request));
    if (!NeedsWaking()) return;
  }
  calls_.Post(woken_, context_.c_call());
}

bool AgentStream::NeedsWaking() {
  if (!open_ || waking_) return false;  // Who comes next sees to it.
  return waking_ = true;
}

bool AgentStream::IsAwaited(const v1::PullResponse& response) const {
  if (answered_ == nullptr || response.id() != waiting_id_) return false;
  return waiting_turn_ == 0 ? response.turn() == 0 : response.turn() >= waiting_turn_;
}

void AgentStream::TakeHeld(v1::PullResponse& response) {
  if (held_.empty()) return;
  google::protobuf::RepeatedPtrField<std::string> frames;
  for (v1::PullResponse& held : held_) {
    for (std::string& frame : *held.mutable_frames()) *frames.Add() = std::move(frame);
  }
  for (std::string& frame : *response.mutable_frames()) *frames.Add() = std::move(frame);
  response.mutable_frames()->Swap(&frames);
  held_.clear();
  held_bytes_ = 0;
}

bool AgentStream::Hold(v1::PullResponse response) {
  held_bytes_ += response.ByteSizeLong();
  held_.push_back(std::move(response));
  return held_.size() <= kMaxHeld && held_bytes_ <= kMaxHeldBytes;
}

void AgentStream::Started(bool ok) {
  if (!ok) {
    Finish();
    return;
  }
  call_->Read(&response_, rpc::CallQueue::Tag(read_));
  MutexLock lock(mu_);
  open_ = true;
  WriteNext();
}

void AgentStream::Read(bool ok) {
  if (!ok) {
    Finish();
    return;
  }
  v1::PullResponse response;
  response.Swap(&response_);
  call_->Read(&response_, rpc::CallQueue::Tag(read_));
  Answered answered;
  bool too_much = false;
  {
    MutexLock lock(mu_);
    if (response.turn() > 0 && response.frames_size() == 0) {
      ended_id_ = response.id();
      // Whoever waits asks, and gets what is held before the answer.
      if (answered_ != nullptr && waiting_turn_ > 0 && waiting_id_ == ended_id_) {
        answered = std::exchange(answered_, nullptr);
      }
    } else if (IsAwaited(response)) {
      answered = std::exchange(answered_, nullptr);
      TakeHeld(response);
    } else if (response.turn() > 0) {
      too_much = !Hold(std::move(response));
    }
  }
  if (too_much) Cancel();
  // Last, as it may take its time, and may let go of this stream.
  if (answered) answered(std::move(response));
}

void AgentStream::Woken(bool /*ok*/) {
  std::shared_ptr<AgentStream> last;
  Answered answered;
  v1::PullResponse response;
  {
    MutexLock lock(mu_);
    waking_ = false;
    WriteNext();
    if (!held_.empty() && IsAwaited(held_.back())) {
      answered = std::exchange(answered_, nullptr);
      response = std::move(held_.back());
      held_.pop_back();
      TakeHeld(response);
    }
    last = LetGo();
  }
  if (answered) answered(std::move(response));
}

void AgentStream::Written(bool ok) {
  std::shared_ptr<AgentStream> last;
  MutexLock lock(mu_);
  writing_ = false;
  if (ok) WriteNext();  // Otherwise reading fails too.
  last = LetGo();
}

void AgentStream::Finish() {
  {
    MutexLock lock(mu_);
    reading_ = false;
  }
  call_->Finish(&status_, rpc::CallQueue::Tag(finished_));
}

void AgentStream::Finished(bool /*ok*/) {
  Answered answered;
  std::shared_ptr<AgentStream> last;
  {
    MutexLock lock(mu_);
    answered = std::exchange(answered_, nullptr);
    over_ = true;
    last = LetGo();
  }
  if (!answered) return;
  answered(status_.ok() ? Unavailable("the agent ended the stream") : FromGrpc(status_));
}

void AgentStream::WriteNext() {
  if (!open_ || writing_ || !reading_ || queue_.empty()) return;
  writing_ = true;
  request_ = std::move(queue_.front());
  queue_.pop_front();
  call_->Write(request_, rpc::CallQueue::Tag(written_));
}

std::shared_ptr<AgentStream> AgentStream::LetGo() {
  if (!over_ || writing_ || waking_) return nullptr;
  return std::move(self_);
}

}  // namespace vedette::scrape
