#pragma once

#include <cstdint>
#include <functional>
#include <thread>

#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace vedette::agent {

// Sampler goes on sampling when no server asks. Every pull tells it the interval; when half an
// interval has passed beyond the time the next pull was due, it takes snapshots itself, at that
// interval, until a server is back. Before the first pull ever, it does nothing.
//
//   Sampler sampler([&] { ring.Push(...); }, SystemClock());
//   sampler.Start();
//   sampler.Pulled(15'000);   // At each pull.
//
// Thread-safe.
class Sampler {
 public:
  // `sample` runs on the sampler's thread, one at a time.
  Sampler(std::function<void()> sample, const Clock& clock);
  ~Sampler();  // Stops.
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;

  void Start() VEDETTE_EXCLUDES(mu_);
  void Stop() VEDETTE_EXCLUDES(mu_);

  // A server has just been answered, and means to ask again after `interval_ms`.
  void Pulled(int64_t interval_ms) VEDETTE_EXCLUDES(mu_);

  // Samples if it is time to, and says in how many milliseconds to look again. What the thread
  // does; a test calls it itself.
  int64_t SampleIfDue() VEDETTE_EXCLUDES(mu_);

 private:
  void Work() VEDETTE_EXCLUDES(mu_);

  const std::function<void()> sample_;
  const Clock& clock_;
  std::thread thread_;
  Mutex mu_;
  CondVar changed_;
  bool running_ VEDETTE_GUARDED_BY(mu_) = false;
  int64_t interval_ns_ VEDETTE_GUARDED_BY(mu_) = 0;  // 0: nobody has ever asked.
  int64_t due_ns_ VEDETTE_GUARDED_BY(mu_) = 0;
};

}  // namespace vedette::agent
