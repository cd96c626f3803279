#include "server/scrape/cadence.h"

#include <algorithm>
#include <cstdlib>

namespace vedette::scrape {
namespace {

// An instant may be off its place by so much: a scrape that begins late says when it began.
int64_t OffPlace(int64_t interval_ms) { return std::clamp<int64_t>(interval_ms / 100, 5, 100); }
// And the agent's frames by so much before they are moved.
int64_t OffTime(int64_t interval_ms) { return std::clamp<int64_t>(interval_ms / 200, 5, 50); }

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
  way_ms_ = kUnknown;
  least_late_ms_ = kUnknown;
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

void Cadence::NoteWay(int64_t way_ms) {
  way_ms_ = std::min(way_ms_, std::max<int64_t>(way_ms, 0));
}

void Cadence::NoteLateness(int64_t late_ms) {
  least_late_ms_ = std::min(least_late_ms_, late_ms);
}

int64_t Cadence::Shift() {
  if (least_late_ms_ == kUnknown || way_ms_ == kUnknown) return 0;
  const int64_t late_ms = least_late_ms_;
  least_late_ms_ = kUnknown;
  int64_t shift_ms = 0;
  if (late_ms < -OffTime(interval_ms_)) shift_ms = -late_ms;
  if (late_ms > way_ms_ + OffTime(interval_ms_)) shift_ms = way_ms_ - late_ms;
  if (std::abs(shift_ms) <= interval_ms_ / 4) return shift_ms;
  End();
  return 0;
}

}  // namespace vedette::scrape
