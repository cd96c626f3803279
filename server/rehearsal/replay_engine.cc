#include "server/rehearsal/replay_engine.h"

#include <algorithm>
#include <utility>

#include "server/ruler/ruler.h"

namespace vedette::rehearsal {
namespace {

constexpr int64_t kStepsAtOnce = 1000;

}  // namespace

Status ReplayEngine::Fetch(Track& track, const promql::Query& query,
                           const promql::CancelFlag* cancel) {
  promql::Query range = query;
  range.step_ms = track.step_ms;
  const int64_t steps = std::min(kStepsAtOnce, (last_t_ms_ - query.start_ms) / track.step_ms + 1);
  range.end_ms = query.start_ms + (std::max<int64_t>(steps, 1) - 1) * track.step_ms;
  ++queries_;
  VEDETTE_ASSIGN_OR_RETURN(promql::QueryAnswer answer, engine_.Run(range, cancel));
  auto* matrix = std::get_if<promql::Matrix>(&answer.value);
  if (matrix == nullptr) return Internal("a range query gave no matrix");
  track.first_t_ms = range.start_ms;
  track.series = std::move(*matrix);
  track.steps.assign(static_cast<size_t>(std::max<int64_t>(steps, 1)), {});
  for (uint32_t s = 0; s < track.series.size(); ++s) {
    const auto& points = track.series[s].points;
    for (uint32_t p = 0; p < points.size(); ++p) {
      const auto at = static_cast<size_t>((points[p].t_ms - range.start_ms) / track.step_ms);
      track.steps.at(at).emplace_back(s, p);
    }
  }
  return {};
}

Result<promql::QueryAnswer> ReplayEngine::Run(const promql::Query& query,
                                              const promql::CancelFlag* cancel) {
  const auto instant = [&] {
    ++queries_;
    return engine_.Run(query, cancel);
  };
  if (query.step_ms != 0 || query.start_ms != query.end_ms) return instant();
  // What a template or an alert's end asks comes at no fixed interval.
  if (!query.origin.starts_with(ruler::kRuleOrigin)) return instant();
  // Two rules may have one expression, and each its own instants.
  auto [it, fresh] = tracks_.try_emplace(query.origin + '\n' + query.text);
  Track& track = it->second;
  const int64_t t_ms = query.start_ms;
  if (fresh) {
    track.replay = may_replay_(query.text);
    track.last_asked_ms = t_ms;
    Result<promql::QueryAnswer> answer = instant();
    track.scalar = answer.ok() && std::holds_alternative<promql::Scalar>(answer->value);
    return answer;
  }
  const int64_t step_ms = t_ms - std::exchange(track.last_asked_ms, t_ms);
  // The very same instant again is that of a rule that stands twice in its group.
  if (!track.replay || track.scalar || step_ms < 0 || (step_ms == 0 && track.steps.empty())) {
    return instant();
  }
  const int64_t at = track.step_ms == 0 ? -1 : (t_ms - track.first_t_ms) / track.step_ms;
  if (track.steps.empty() || at < 0 || at >= static_cast<int64_t>(track.steps.size()) ||
      (t_ms - track.first_t_ms) % track.step_ms != 0) {
    if (step_ms == 0) return instant();
    track.step_ms = step_ms;
    track.steps.clear();
    // One bad step spoils a whole range; one instant spoils only itself.
    if (!Fetch(track, query, cancel).ok()) {
      track.steps.clear();
      return instant();
    }
  }
  promql::Vector vector;
  const auto& found =
      track.steps.at(static_cast<size_t>((t_ms - track.first_t_ms) / track.step_ms));
  vector.reserve(found.size());
  for (const auto& [s, p] : found) {
    vector.push_back({track.series[s].metric, track.series[s].points[p]});
  }
  return promql::QueryAnswer{.value = std::move(vector)};
}

}  // namespace vedette::rehearsal
