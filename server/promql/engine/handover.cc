#include "server/promql/engine/handover.h"

#include <utility>

namespace vedette::promql {

bool Handover::ClaimOwn(size_t part) {
  MutexLock lock(mu_);
  if (next_ != part) return false;
  ++next_;
  return true;
}

Result<Handover::Batch> Handover::Take() {
  Batch out;
  {
    MutexLock lock(mu_);
    while (batches_.empty() && !ended_) changed_.Wait(mu_);
    if (batches_.empty()) return status_.ok() ? Internal("a helper has left a part") : status_;
    out = std::move(batches_.front());
    batches_.pop_front();
    bytes_ -= out.bytes;
  }
  changed_.NotifyAll();
  return out;
}

void Handover::Stop() {
  {
    MutexLock lock(mu_);
    stopped_ = true;
  }
  changed_.NotifyAll();
}

void Handover::WaitForEnd() {
  MutexLock lock(mu_);
  while (!ended_) changed_.Wait(mu_);
}

std::optional<size_t> Handover::Claim() {
  MutexLock lock(mu_);
  if (stopped_ || next_ >= parts_) return std::nullopt;
  return next_++;
}

Status Handover::Put(Batch batch) {
  {
    MutexLock lock(mu_);
    while (!stopped_ && bytes_ > 0 && bytes_ + batch.bytes > room_bytes_) changed_.Wait(mu_);
    if (stopped_) return Cancelled("the query needs no more help");
    bytes_ += batch.bytes;
    batches_.push_back(std::move(batch));
  }
  changed_.NotifyAll();
  return {};
}

void Handover::End(Status status) {
  MutexLock lock(mu_);
  status_ = std::move(status);
  ended_ = true;
  // Under the lock: once WaitForEnd returns, this is gone.
  changed_.NotifyAll();
}

}  // namespace vedette::promql
