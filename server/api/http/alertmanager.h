#pragma once

#include <cstdint>
#include <string>

#include "common/base/clock.h"
#include "server/alerting/alerting.h"
#include "server/api/http/call.h"

namespace vedette::api {

// What /api/v2/status says beside the configuration.
struct AlertmanagerInfo {
  std::string version;
  int64_t start_time_ms = 0;
};

// Alertmanager's API v2 on our own alerting, so that amtool, karma, Grafana and a Prometheus that
// posts its alerts find what they know; errors are JSON strings, as there. Past it: silences carry
// "recurrence" (an entry of time_intervals), "remindBefore" and "annotations", a preview says what
// a silence would hold back, and history tells what was fired and sent. Thread-safe.
class AlertmanagerDoor {
 public:
  AlertmanagerDoor(alerting::Alerting& alerting, AlertmanagerInfo info, const Clock& clock)
      : alerting_(alerting), info_(std::move(info)), clock_(clock) {}

  Reply Status(const Call& call) const;
  Reply Receivers(const Call& call) const;
  Reply Alerts(const Call& call) const;
  Reply PostAlerts(const Call& call);
  Reply Groups(const Call& call) const;
  Reply Silences(const Call& call) const;
  Reply PostSilence(const Call& call);
  // The silence in the body is checked and not set: the alerts that it would hold back.
  Reply PreviewSilence(const Call& call) const;
  Reply Silence(const Call& call) const;              // :id
  Reply ExpireSilence(const Call& call);              // :id
  Reply AlertHistory(const Call& call) const;         // start, end, limit, filter
  Reply NotificationHistory(const Call& call) const;  // start, end, limit, receiver

 private:
  alerting::Alerting& alerting_;
  const AlertmanagerInfo info_;
  const Clock& clock_;
};

}  // namespace vedette::api
