#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "server/promql/engine.h"

namespace vedette::rehearsal {

// Answers the instants of a rule out of range queries: a week of a rule every minute is ten range
// queries rather than ten thousand instant ones. It learns a rule's interval from the first two
// instants that are asked, and from then on fetches many steps at once.
//
// Only for expressions of which every step can be known beforehand: `may_replay` says so (an
// expression that reads what other rules of the rehearsal write may not). One thread.
class ReplayEngine final : public promql::Engine {
 public:
  // Nothing is fetched after `last_t_ms`. The engine outlives this.
  ReplayEngine(promql::Engine& engine, std::function<bool(const std::string& text)> may_replay,
               int64_t last_t_ms)
      : engine_(engine), may_replay_(std::move(may_replay)), last_t_ms_(last_t_ms) {}

  Result<promql::QueryAnswer> Run(const promql::Query& query,
                                  const promql::CancelFlag* cancel) override;
  void SetDefaultSubqueryStep(int64_t step_ms) override { engine_.SetDefaultSubqueryStep(step_ms); }
  const promql::EngineOptions& options() const override { return engine_.options(); }

  uint64_t queries() const { return queries_; }  // That reached the engine.

 private:
  struct Track {
    bool replay = false;
    int64_t last_asked_ms = 0;
    int64_t step_ms = 0;
    int64_t first_t_ms = 0;  // Of the fetched chunk; empty when steps is.
    bool scalar = false;
    promql::Matrix series;
    // For each step, which series have a point, and which one.
    std::vector<std::vector<std::pair<uint32_t, uint32_t>>> steps;
  };

  Status Fetch(Track& track, const promql::Query& query, const promql::CancelFlag* cancel);

  promql::Engine& engine_;
  const std::function<bool(const std::string& text)> may_replay_;
  const int64_t last_t_ms_;
  std::map<std::string, Track> tracks_;
  uint64_t queries_ = 0;
};

}  // namespace vedette::rehearsal
