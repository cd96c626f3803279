#pragma once

#include <cstdint>

namespace vedette::scrape {

// Cadence is what a server knows of an agent that sends frames by itself: which frame belongs to
// which scrape, and whether the agent's clock has wandered from ours.
//
//   if (cadence.Continues(t_ms, interval_ms)) …            // At each scrape; then:
//   cadence.Begin(t_ms, interval_ms, timeout_ms);          // Asked for, from this scrape on,
//   cadence.Agree();                                       // and the agent does it.
//   …
//   if (cadence.Holds(t_ms, interval_ms, timeout_ms)) AwaitTurn(cadence.TurnAt(t_ms));
//
// Two clocks run apart by some milliseconds a minute, and a request takes its time to arrive. What a
// frame is late is the time from the scrape's instant to its arrival, without what the agent took to
// make it; negative: early. The least of some frames, which is that of the shortest way, is to be next
// to nothing: so an agent is as much ahead as the way to us is long, and the frames of all that are due
// at one instant come together. Shift() says what is missing to that.
//
// Not thread-safe.
class Cadence {
 public:
  // Whether this instant is one interval after the one that was asked about before.
  bool Continues(int64_t t_ms, int64_t interval_ms);

  void Begin(int64_t t_ms, int64_t interval_ms, int64_t timeout_ms);
  void Agree() { on_ = true; }
  void End() { on_ = false; }
  bool on() const { return on_; }
  // The agent sends a frame for this instant. Ask after Continues() has said yes.
  bool Holds(int64_t t_ms, int64_t interval_ms, int64_t timeout_ms) const;
  uint64_t TurnAt(int64_t t_ms) const;

  void NoteLateness(int64_t late_ms);
  // Enough is noted to go by: Shift() is worth asking, and saying.
  bool wandered() const;
  // By how much the frames to come should be later than they would, from what was noted since the
  // last call. Ends the cadence where that is more than a quarter of the interval: then one of the
  // clocks was set.
  int64_t Shift();

 private:
  static constexpr int64_t kUnknown = INT64_MAX;

  int64_t last_t_ms_ = INT64_MIN;
  bool on_ = false;
  int64_t base_t_ms_ = 0;
  int64_t interval_ms_ = 0;
  int64_t timeout_ms_ = 0;
  int64_t least_late_ms_ = kUnknown;  // Since the last Shift(),
  int noted_ = 0;                     // of so many.
  bool shifted_ = false;              // Shift() has been asked since Begin().
};

}  // namespace vedette::scrape
