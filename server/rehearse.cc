#include "server/rehearse.h"

#include <utility>

#include "common/base/strings.h"
#include "server/rehearsal/rehearsal.h"

namespace vedette {
namespace {

Result<std::string> Run(const RehearseContext& c, const api::RehearsalQuestion& q,
                        const promql::CancelFlag* cancel) {
  rehearsal::Plan plan{.from_ms = q.from_ms,
                       .to_ms = q.to_ms,
                       .evaluation_interval_ms = c.evaluation_interval_ms(),
                       .external_labels = c.external_labels(),
                       .external_url = c.external_url,
                       .query = c.query};
  if (q.silences) {
    for (alerting::SilenceView& v : c.alerting.Silences()) {
      plan.silences.push_back(std::move(v.silence));
    }
  }
  const auto rehearse = [&](const api::RehearsalAsk& ask) -> Result<rehearsal::Report> {
    plan.groups = ask.groups;
    plan.alertmanager = ask.alertmanager;
    return rehearsal::Rehearse(plan, c.history, cancel);
  };
  VEDETTE_ASSIGN_OR_RETURN(const rehearsal::Report report, rehearse(q.ask));
  if (!q.compare) return ReportJson(report);
  const Result<rehearsal::Report> other = rehearse(q.other);
  if (!other.ok()) return other.status().Annotate("compare");
  return StrCat("{\"before\":", ReportJson(report), ",\"after\":", ReportJson(*other),
                ",\"difference\":", DifferenceJson(Compare(report, *other)), "}");
}

}  // namespace

std::unique_ptr<api::RehearseDoor> MakeRehearseDoor(RehearseContext context, const Clock& clock) {
  auto shared = std::make_shared<const RehearseContext>(std::move(context));
  return std::make_unique<api::RehearseDoor>(
      api::RehearseBackends{
          .groups = shared->groups,
          .alertmanager = [shared] { return *shared->alerting.config(); },
          .run = [shared](const api::RehearsalQuestion& q,
                          const promql::CancelFlag* cancel) { return Run(*shared, q, cancel); }},
      clock);
}

}  // namespace vedette
