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
// Two clocks run apart by some milliseconds a minute, and what a frame takes to arrive differs, too. A
// frame is early or late by what is left of the time between the scrape's instant and its arrival
// when the collection is taken out; that of the least late of some frames should lie between nothing
// and the way there and back. What it is beyond that is to be taken back: Shift().
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

  // The way to an agent and back, of one request.
  void NoteWay(int64_t way_ms);
  void NoteLateness(int64_t late_ms);
  // By how much the frames to come should be later than they would, from what was noted since the
  // last call. Ends the cadence where that is more than a quarter of the interval: then one of the clocks was set.
  int64_t Shift();

 private:
  static constexpr int64_t kUnknown = INT64_MAX;

  int64_t last_t_ms_ = INT64_MIN;
  bool on_ = false;
  int64_t base_t_ms_ = 0;
  int64_t interval_ms_ = 0;
  int64_t timeout_ms_ = 0;
  int64_t way_ms_ = kUnknown;         // The shortest.
  int64_t least_late_ms_ = kUnknown;  // Since the last Shift().
};

}  // namespace vedette::scrape
