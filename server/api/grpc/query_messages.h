#pragma once

#include <cstdint>
#include <string>

#include "common/model/labels.h"
#include "proto/vedette/v1/query.pb.h"
#include "server/promql/engine.h"
#include "server/ruler/rule_status.h"

// What the engine and the ruler say, as QueryService's messages.
namespace vedette::api {

template <typename Map>
void SetLabels(const Labels& labels, Map* out) {
  for (const Label& l : labels) (*out)[std::string(l.name)] = std::string(l.value);
}

void AddPoint(const promql::Point& p, v1::Series* out);
void SetStats(const promql::QueryStats& s, v1::QueryStats* out);
void SetPlan(const promql::PlanNode& node, v1::PlanNode* out);
void SetRunning(const promql::ActiveQuery& query, v1::RunningQuery* out);
void SetAlert(const ruler::ActiveAlert& a, v1::Alert* out);

template <typename Response>
void SetNotes(const promql::QueryAnswer& answer, Response* out) {
  for (const std::string& w : answer.warnings) out->add_warnings(w);
  for (const std::string& i : answer.infos) out->add_infos(i);
  SetStats(answer.stats, out->mutable_stats());
}

}  // namespace vedette::api
