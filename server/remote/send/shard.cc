#include "server/remote/send/shard.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace vedette::remote {

Shard::Shard(Options options, std::function<void(std::vector<Piece>)> deliver)
    : options_(options), deliver_(std::move(deliver)), thread_([this] { Run(); }) {}

Shard::~Shard() { Stop(); }

void Shard::Stop() {
  {
    MutexLock lock(mu_);
    stop_ = true;
  }
  changed_.NotifyAll();
  if (thread_.joinable()) thread_.join();
}

bool Shard::TryPush(Piece& piece) {
  MutexLock lock(mu_);
  if (waiting_.size() >= options_.capacity) return false;
  waiting_.push_back(std::move(piece));
  // The thread needs to know of the first piece, which starts the deadline, and of a full batch.
  if (waiting_.size() == 1 || waiting_.size() == options_.max_batch) changed_.NotifyAll();
  return true;
}

void Shard::WaitForRoom(int64_t timeout_ms) {
  MutexLock lock(mu_);
  if (waiting_.size() >= options_.capacity) changed_.WaitFor(mu_, timeout_ms);
}

void Shard::Flush() {
  MutexLock lock(mu_);
  flush_ = true;
  changed_.NotifyAll();
}

bool Shard::idle() const {
  MutexLock lock(mu_);
  return waiting_.empty() && !busy_;
}

void Shard::Run() {
  // A capacity below the size of a batch makes smaller batches, not a shard that waits for ever.
  const size_t full = std::min(options_.max_batch, options_.capacity);
  while (true) {
    std::vector<Piece> batch;
    {
      MutexLock lock(mu_);
      busy_ = false;
      while (waiting_.empty() && !stop_) {
        flush_ = false;
        changed_.Wait(mu_);
      }
      const auto end =
          std::chrono::steady_clock::now() + std::chrono::milliseconds(options_.deadline_ms);
      while (waiting_.size() < full && !flush_ && !stop_) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
                              end - std::chrono::steady_clock::now())
                              .count();
        if (left <= 0) break;
        changed_.WaitFor(mu_, left);
      }
      if (stop_) return;
      const size_t n = std::min(full, waiting_.size());
      batch.assign(std::make_move_iterator(waiting_.begin()),
                   std::make_move_iterator(waiting_.begin() + static_cast<int64_t>(n)));
      waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<int64_t>(n));
      busy_ = true;
      changed_.NotifyAll();
    }
    deliver_(std::move(batch));
  }
}

}  // namespace vedette::remote
