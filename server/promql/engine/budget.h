#pragma once

#include <cstdint>
#include <functional>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "server/promql/engine.h"
#include "server/promql/engine/active_queries.h"
#include "server/promql/functions/column.h"

namespace vedette::promql {

// The ceilings of one query, and what it used. One thread.
struct Budget {
  const Clock* clock = nullptr;
  const CancelFlag* cancel = nullptr;  // The client's; may be null.
  int64_t deadline_ns = 0;             // 0: none.
  int64_t timeout_ms = 0;              // For the error's text.
  uint64_t max_samples = 0;
  uint64_t max_bytes = 0;  // 0: no limit.
  // Whether the process has memory left; may be null.
  const std::function<Status()>* memory_left = nullptr;
  RunningQuery* running = nullptr;  // The place in the list of running queries; may be null.
  bool reports = true;              // There; a helper only looks whether the query was killed.
  QueryStats* stats = nullptr;

  uint64_t held = 0;
  uint64_t held_bytes = 0;

  // Once a series: cancelled, killed, out of time, out of memory?
  Status Poll();
  // Counts work that no series passes by: polls once every million samples.
  Status Work(uint64_t samples) {
    work_ += samples;
    if (work_ < kPollEvery) return {};
    work_ = 0;
    return Poll();
  }
  // Counts `n` samples as held; kResourceExhausted when they are too many.
  Status Hold(uint64_t n);
  void Release(uint64_t n) { held -= n < held ? n : held; }
  // The same for bytes.
  Status HoldBytes(uint64_t n);
  void ReleaseBytes(uint64_t n) { held_bytes -= n < held_bytes ? n : held_bytes; }

 private:
  static constexpr uint64_t kPollEvery = 1'000'000;
  uint64_t work_ = 0;
  uint32_t polls_ = 0;
};

// What a column takes in memory, near enough.
uint64_t BytesOf(const Column& c);

// Charge is what one operator holds of the budget: given back when the operator ends.
//
//   Charge charge(budget_);
//   VEDETTE_RETURN_IF_ERROR(charge.Add(c));   // Before the column is kept.
class Charge {
 public:
  explicit Charge(Budget& budget) : budget_(budget) {}
  ~Charge() {
    budget_.Release(samples_);
    budget_.ReleaseBytes(bytes_);
  }
  Charge(const Charge&) = delete;
  Charge& operator=(const Charge&) = delete;

  Status Add(const Column& c) { return Add(c.values.size(), BytesOf(c)); }
  Status Add(uint64_t samples, uint64_t bytes) {
    samples_ += samples;
    bytes_ += bytes;
    VEDETTE_RETURN_IF_ERROR(budget_.Hold(samples));
    return budget_.HoldBytes(bytes);
  }

 private:
  Budget& budget_;
  uint64_t samples_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace vedette::promql
