#include "agent/snapshot/sampler.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

namespace vedette::agent {
namespace {

constexpr int64_t kIdleMs = 60'000;
// A server that asks for a sample every millisecond is mistaken, and one a day is not an interval.
constexpr int64_t kMinIntervalMs = 100;
constexpr int64_t kMaxIntervalMs = 24LL * 3'600'000;

}  // namespace

Sampler::Sampler(std::function<void()> sample, const Clock& clock)
    : sample_(std::move(sample)), clock_(clock) {}

Sampler::~Sampler() { Stop(); }

void Sampler::Start() {
  MutexLock lock(mu_);
  if (running_) return;
  running_ = true;
  thread_ = std::thread([this] { Work(); });
  pthread_setname_np(thread_.native_handle(), "sampler");
}

void Sampler::Stop() {
  {
    MutexLock lock(mu_);
    running_ = false;
    changed_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

void Sampler::Pulled(int64_t interval_ms) {
  MutexLock lock(mu_);
  if (interval_ms > 0) {
    interval_ns_ = std::clamp(interval_ms, kMinIntervalMs, kMaxIntervalMs) * 1'000'000;
  }
  if (interval_ns_ == 0) return;
  const bool sooner = due_ns_ == 0;
  due_ns_ = clock_.MonotonicNs() + interval_ns_ + interval_ns_ / 2;
  if (sooner) changed_.NotifyAll();
}

int64_t Sampler::SampleIfDue() {
  int64_t interval_ns;
  {
    MutexLock lock(mu_);
    if (interval_ns_ == 0) return kIdleMs;
    const int64_t now = clock_.MonotonicNs();
    if (now < due_ns_) return std::min(kIdleMs, (due_ns_ - now) / 1'000'000 + 1);
    interval_ns = interval_ns_;
    // The grid goes on where the server left it; a machine that slept does not catch up.
    due_ns_ += interval_ns_;
    if (due_ns_ <= now) due_ns_ = now + interval_ns_;
  }
  sample_();
  return std::min(kIdleMs, interval_ns / 2'000'000 + 1);
}

void Sampler::Work() {
  for (;;) {
    const int64_t wait_ms = SampleIfDue();
    MutexLock lock(mu_);
    if (!running_) return;
    changed_.WaitFor(mu_, std::max<int64_t>(wait_ms, 1));
    if (!running_) return;
  }
}

}  // namespace vedette::agent
