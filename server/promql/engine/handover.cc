#include "server/promql/engine/handover.h"

#include <algorithm>
#include <utility>

#include "server/promql/engine/budget.h"

namespace vedette::promql {

void HandedBatch::Add(Column* c, uint64_t samples, uint64_t held_bytes) {
  Series& s = series.emplace_back();
  s.samples = samples;
  s.bytes = held_bytes;
  bytes += sizeof(Series);
  if (c == nullptr) return;
  s.empty = false;
  bytes += BytesOf(*c);
  s.labels = std::move(c->labels);
  s.drop_name = c->drop_name;
  s.histograms = std::exchange(c->histograms, {});
  values.insert(values.end(), c->values.begin(), c->values.end());
}

void HandedBatch::Clear() {
  series.clear();
  values.clear();
  bytes = 0;
  last = false;
  stats = {};
}

bool Handover::ClaimOwn(size_t part) {
  MutexLock lock(mu_);
  if (claimed_[part]) return false;
  claimed_[part] = true;
  first_free_ = part + 1;
  behind_ = std::max(behind_, part + 1);
  return true;
}

std::optional<size_t> Handover::Claim() {
  MutexLock lock(mu_);
  while (first_free_ < claimed_.size() && claimed_[first_free_]) ++first_free_;
  const size_t part = std::max(behind_, first_free_ + 1);
  if (stopped_ || part >= claimed_.size()) return std::nullopt;
  claimed_[part] = true;
  behind_ = part + 1;
  return part;
}

Result<HandedBatch> Handover::Take() {
  HandedBatch out;
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

void Handover::Return(HandedBatch batch) {
  batch.Clear();
  MutexLock lock(mu_);
  spare_.push_back(std::move(batch));
}

HandedBatch Handover::Spare() {
  MutexLock lock(mu_);
  if (spare_.empty()) return {};
  HandedBatch out = std::move(spare_.back());
  spare_.pop_back();
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

Status Handover::Put(HandedBatch batch) {
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
