#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/metrics/metrics.h"
#include "server/alerting/alerting.h"
#include "server/notify/alertmanager_sender.h"

// What the way of an alert counts about itself, under the names that dashboards and alerts for
// Prometheus and Alertmanager read. The registry outlives what is made here.
namespace vedette {

// prometheus_notifications_*, by outside Alertmanager: for notify::SenderOptions::asked.
std::function<void(const std::string& url, size_t alerts, bool taken, double seconds)>
CountRequests(metrics::Registry& registry, const Clock& clock);

// alertmanager_notification_latency_seconds and the requests that failed, by integration: for
// alerting::AlertingOptions::asked.
std::function<void(const std::string& integration, bool taken, double seconds)> CountNotifications(
    metrics::Registry& registry);

// Whether the last look at --alertmanager.config.file took effect, when one last did, and which.
class AlertConfigMetrics {
 public:
  explicit AlertConfigMetrics(metrics::Registry& registry);
  void Note(const Status& loaded, const std::string& text, int64_t now_ms);

 private:
  metrics::Gauge& successful_;
  metrics::Gauge& at_seconds_;
  metrics::Gauge& hash_;
};

// What is asked for when the metrics are: alerts and silences by state, what was taken in and told.
// Both outlive the registry.
void AddAlertMetrics(metrics::Registry& registry, const alerting::Alerting& alerting,
                     const notify::AlertmanagerSender& sender, int64_t queue_capacity);

}  // namespace vedette
