#include "server/api/grpc/answer_diff.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <variant>

namespace vedette::api {
namespace {

bool Same(const promql::Point& a, const promql::Point& b) {
  if ((a.histogram == nullptr) != (b.histogram == nullptr)) return false;
  if (a.histogram != nullptr) return a.histogram == b.histogram || *a.histogram == *b.histogram;
  return a.value == b.value || (std::isnan(a.value) && std::isnan(b.value));
}

}  // namespace

Result<AnswerDiff::Change> AnswerDiff::Take(const promql::Value& answer) {
  promql::Vector now;
  if (const auto* scalar = std::get_if<promql::Scalar>(&answer)) {
    now.push_back({Labels(), {.t_ms = scalar->t_ms, .value = scalar->value}});
  } else if (const auto* vector = std::get_if<promql::Vector>(&answer)) {
    now = *vector;
  } else {
    return InvalidArgument("a subscription takes an instant vector or a scalar");
  }
  Change change;
  std::unordered_map<Labels, promql::Point, LabelsHash> next;
  next.reserve(now.size());
  for (promql::VectorSample& s : now) {
    const auto it = before_.find(s.metric);
    const bool same = it != before_.end() && Same(it->second, s.point);
    if (it != before_.end()) before_.erase(it);
    next.emplace(s.metric, s.point);
    if (!same) change.changed.push_back(std::move(s));
  }
  for (const auto& [labels, point] : before_) change.gone.push_back(labels);
  std::ranges::sort(change.gone);
  before_ = std::move(next);
  return change;
}

}  // namespace vedette::api
