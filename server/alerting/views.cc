// What people see of alerting: alerts, groups, history.
#include <algorithm>
#include <deque>
#include <functional>
#include <iterator>
#include <utility>

#include "common/base/strings.h"
#include "server/alerting/alerting.h"
#include "server/alerting/keys.h"

namespace vedette::alerting {
namespace {

// Events are kept in order of time, and of more than `limit` the newest are wanted; damaged ones cost
// themselves only.
template <typename Event>
Result<std::vector<Event>> Read(const storage::KeyValue& store, std::string_view prefix,
                                Result<Event> (*decode)(std::string_view), int64_t from_ms,
                                int64_t to_ms, uint64_t limit,
                                const std::function<bool(const Event&)>& wanted) {
  std::deque<Event> newest;
  VEDETTE_RETURN_IF_ERROR(store.Scan(prefix, [&](std::string_view, std::string_view value) {
    Result<Event> event = decode(value);
    if (!event.ok()) return true;
    if (event->t_ms >= to_ms) return false;
    if (event->t_ms < from_ms || (wanted && !wanted(*event))) return true;
    newest.push_back(*std::move(event));
    if (newest.size() > limit) newest.pop_front();
    return true;
  }));
  return std::vector<Event>(std::make_move_iterator(newest.begin()),
                            std::make_move_iterator(newest.end()));
}

}  // namespace

AlertView Alerting::View(const StoredAlert& stored, int64_t now_ms) const {
  AlertView v{.alert = stored.alert, .updated_at_ms = stored.updated_at_ms};
  v.silenced_by = SilencedBy(stored.alert.labels, now_ms);
  v.inhibited_by = InhibitedBy(stored.alert.labels, now_ms);
  if (setup_ == nullptr) return v;
  for (const Route* route : MatchRoutes(*setup_->root, stored.alert.labels)) {
    if (std::find(v.receivers.begin(), v.receivers.end(), route->config->receiver) ==
        v.receivers.end()) {
      v.receivers.push_back(route->config->receiver);
    }
    for (std::string& name : MutedBy(*route, now_ms)) v.muted_by.push_back(std::move(name));
  }
  v.activity = v.silenced_by.empty() && v.inhibited_by.empty() && v.muted_by.empty()
                   ? AlertActivity::kActive
                   : AlertActivity::kSuppressed;
  return v;
}

std::vector<AlertView> Alerting::Alerts() const {
  const int64_t now_ms = clock_.NowMs();
  std::vector<AlertView> out;
  MutexLock lock(mu_);
  for (const auto& [labels, stored] : alerts_) {
    if (!stored.alert.resolved_at(now_ms)) out.push_back(View(stored, now_ms));
  }
  return out;
}

std::vector<GroupView> Alerting::Groups() const {
  const int64_t now_ms = clock_.NowMs();
  std::vector<GroupView> out;
  MutexLock lock(mu_);
  for (const auto& [id, group] : groups_) {
    GroupView v{.receiver = group->route->config->receiver, .labels = group->labels};
    for (const auto& [labels, updated] : group->members) {
      auto it = alerts_.find(labels);
      if (it != alerts_.end() && !it->second.alert.resolved_at(now_ms)) {
        v.alerts.push_back(View(it->second, now_ms));
      }
    }
    if (!v.alerts.empty()) out.push_back(std::move(v));
  }
  return out;
}

Result<std::vector<NotificationEvent>> Alerting::History(
    int64_t from_ms, int64_t to_ms, uint64_t limit,
    const std::function<bool(const NotificationEvent&)>& wanted) const {
  return Read<NotificationEvent>(store_, kHistoryPrefix, DecodeEvent, from_ms, to_ms, limit, wanted);
}

Result<std::vector<AlertEvent>> Alerting::AlertHistory(
    int64_t from_ms, int64_t to_ms, uint64_t limit,
    const std::function<bool(const AlertEvent&)>& wanted) const {
  return Read<AlertEvent>(store_, kAlertHistoryPrefix, DecodeAlertEvent, from_ms, to_ms, limit,
                          wanted);
}

void Alerting::Remember(const Alert& alert, int64_t now_ms,
                        std::vector<storage::KeyValue::Change>& changes) {
  const bool resolved = alert.resolved_at(now_ms);
  if (resolved ? firing_.erase(alert.labels) == 0 : !firing_.insert(alert.labels).second) return;
  const AlertEvent event{.t_ms = now_ms, .resolved = resolved, .alert = alert};
  changes.push_back(
      {StrCat(kAlertHistoryPrefix, Hex(static_cast<uint64_t>(now_ms)), "-", Hex(++events_)),
       Encode(event)});
}

int64_t Alerting::NextDueMs() const {
  MutexLock lock(mu_);
  int64_t next_ms = INT64_MAX;
  for (const auto& [id, group] : groups_) {
    next_ms = std::min(next_ms, group->next_tick_ms);
    for (const Delivery& d : group->deliveries) {
      if (d.wanted && !d.in_flight) next_ms = std::min(next_ms, d.not_before_ms);
    }
  }
  return next_ms;
}

std::map<std::string, NotifyCounts> Alerting::Counts() const {
  MutexLock lock(mu_);
  return counts_;
}

TakenCounts Alerting::Taken() const {
  MutexLock lock(mu_);
  return taken_;
}

std::shared_ptr<const config::AlertmanagerConfig> Alerting::config() const {
  MutexLock lock(mu_);
  return setup_ == nullptr ? nullptr : setup_->config;
}

}  // namespace vedette::alerting
