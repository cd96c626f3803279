#include "server/scrape/cadence.h"

#include <algorithm>
#include <cstdlib>

namespace vedette::scrape {
namespace {

// An instant may be off its place by so much: a scrape that begins late says when it began.
int64_t OffPlace(int64_t interval_ms) { return std::clamp<int64_t>(interval_ms / 100, 5, 100); }
// The agent's frames may be late by so much before they are moved, and are moved to there.
int64_t MostLate(int64_t interval_ms) { return std::clamp<int64_t>(interval_ms / 2000, 3, 10); }
constexpr int64_t kJustLateMs = 1;
// One frame alone may have come by a slow way. At first the agent is off by the way of the request.
constexpr int kFirstToGoBy = 2;
constexpr int kFramesToGoBy = 8;

}  // namespace

bool Cadence::Continues(int64_t t_ms, int64_t interval_ms) {
  const bool first = last_t_ms_ == INT64_MIN;
  const int64_t since_ms = first ? 0 : t_ms - last_t_ms_;
  last_t_ms_ = t_ms;
  return !first && std::abs(since_ms - interval_ms) <= OffPlace(interval_ms);
}

void Cadence::Begin(int64_t t_ms, int64_t interval_ms, int64_t timeout_ms) {
  on_ = false;
  base_t_ms_ = t_ms;
  interval_ms_ = interval_ms;
  timeout_ms_ = timeout_ms;
  least_late_ms_ = kUnknown;
  noted_ = 0;
  shifted_ = false;
}

bool Cadence::Holds(int64_t t_ms, int64_t interval_ms, int64_t timeout_ms) const {
  if (!on_ || interval_ms != interval_ms_ || timeout_ms != timeout_ms_) return false;
  const int64_t since_ms = t_ms - base_t_ms_;
  const int64_t off_ms = since_ms - static_cast<int64_t>(TurnAt(t_ms)) * interval_ms_;
  return since_ms > 0 && std::abs(off_ms) <= 2 * OffPlace(interval_ms_);
}

uint64_t Cadence::TurnAt(int64_t t_ms) const {
  const int64_t since_ms = std::max<int64_t>(0, t_ms - base_t_ms_);
  return static_cast<uint64_t>((since_ms + interval_ms_ / 2) / interval_ms_);
}

void Cadence::NoteLateness(int64_t late_ms) {
  least_late_ms_ = std::min(least_late_ms_, late_ms);
  ++noted_;
}

bool Cadence::wandered() const {
  return noted_ >= (shifted_ ? kFramesToGoBy : kFirstToGoBy) &&
         (least_late_ms_ < 0 || least_late_ms_ > MostLate(interval_ms_));
}

int64_t Cadence::Shift() {
  const int64_t shift_ms = wandered() ? kJustLateMs - least_late_ms_ : 0;
  least_late_ms_ = kUnknown;
  noted_ = 0;
  shifted_ = true;
  if (std::abs(shift_ms) <= interval_ms_ / 4) return shift_ms;
  End();
  return 0;
}

}  // namespace vedette::scrape
