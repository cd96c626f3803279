#include "server/alert_metrics.h"

#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "common/config/url_secrets.h"
#include "common/model/labels.h"
#include "common/model/metric_family.h"

namespace vedette {
namespace {

constexpr MetricType kCounter = MetricType::kCounter;
constexpr MetricType kGauge = MetricType::kGauge;

struct Labelled {
  std::string value;  // Of the label.
  double v;
};

// A family whose samples differ in one label; without a label if its name is "".
MetricFamily Family(std::string_view name, MetricType type, std::string_view help,
                    std::string_view label, const std::vector<Labelled>& samples) {
  MetricFamily f{.name = std::string(name), .metadata = {.type = type, .help = std::string(help)}};
  for (const Labelled& s : samples) {
    Labels labels = label.empty()
                        ? Labels::Of({{kMetricNameLabel, name}})
                        : Labels::Of({{kMetricNameLabel, name}, {label, s.value}});
    f.samples.push_back({.labels = std::move(labels), .value = s.v});
  }
  return f;
}

MetricFamily Single(std::string_view name, MetricType type, std::string_view help, uint64_t v) {
  return Family(name, type, help, "", {{"", static_cast<double>(v)}});
}

void States(const alerting::Alerting& alerting, std::vector<MetricFamily>& out) {
  std::map<alerting::AlertActivity, double> alerts;
  for (const alerting::AlertView& a : alerting.Alerts()) ++alerts[a.activity];
  out.push_back(Family("alertmanager_alerts", kGauge, "Alerts that are not over, by state.", "state",
                       {{"active", alerts[alerting::AlertActivity::kActive]},
                        {"suppressed", alerts[alerting::AlertActivity::kSuppressed]},
                        {"unprocessed", alerts[alerting::AlertActivity::kUnprocessed]}}));
  std::map<alerting::SilenceState, double> silences;
  for (const alerting::SilenceView& s : alerting.Silences()) ++silences[s.state];
  out.push_back(Family("alertmanager_silences", kGauge, "Silences, by state.", "state",
                       {{"active", silences[alerting::SilenceState::kActive]},
                        {"pending", silences[alerting::SilenceState::kPending]},
                        {"expired", silences[alerting::SilenceState::kExpired]}}));
  const alerting::TakenCounts taken = alerting.Taken();
  out.push_back(Family("alertmanager_alerts_received_total", kCounter,
                       "Alerts taken in, from rules and from the API.", "status",
                       {{"firing", static_cast<double>(taken.firing)},
                        {"resolved", static_cast<double>(taken.resolved)}}));
  out.push_back(Single("alertmanager_alerts_invalid_total", kCounter, "Alerts that were refused.",
                       taken.invalid));
}

void Told(const alerting::Alerting& alerting, std::vector<MetricFamily>& out) {
  std::vector<Labelled> told, failed, requests;
  for (const auto& [integration, c] : alerting.Counts()) {
    told.push_back({integration, static_cast<double>(c.sent + c.failed)});
    failed.push_back({integration, static_cast<double>(c.failed)});
    requests.push_back({integration, static_cast<double>(c.attempts)});
  }
  out.push_back(Family("alertmanager_notifications_total", kCounter,
                       "Notifications that were attempted.", "integration", told));
  out.push_back(Family("alertmanager_notifications_failed_total", kCounter,
                       "Notifications that were given up.", "integration", failed));
  out.push_back(Family("alertmanager_notification_requests_total", kCounter,
                       "Requests made to send notifications.", "integration", requests));
}

void Sent(const notify::AlertmanagerSender& sender, int64_t queue_capacity,
          std::vector<MetricFamily>& out) {
  out.push_back(Single("prometheus_notifications_dropped_total", kCounter,
                       "Alerts dropped because the queue was full or nobody could be reached.",
                       sender.counts().dropped));
  out.push_back(Single("prometheus_notifications_queue_length", kGauge,
                       "Alerts waiting for an outside Alertmanager.", sender.queued()));
  out.push_back(Single("prometheus_notifications_queue_capacity", kGauge, "Room for waiting alerts.",
                       static_cast<uint64_t>(queue_capacity)));
  out.push_back(Single("prometheus_notifications_alertmanagers_discovered", kGauge,
                       "Outside Alertmanagers.", sender.Urls().size()));
}

}  // namespace

// As in Prometheus, `sent` counts what failed as well.
std::function<void(const std::string&, size_t, bool, double)> CountRequests(
    metrics::Registry& registry, const Clock& clock) {
  auto& sent = registry.AddCounterFamily("prometheus_notifications_sent_total",
                                         "Alerts sent to an outside Alertmanager.",
                                         {"alertmanager"});
  auto& errors = registry.AddCounterFamily("prometheus_notifications_errors_total",
                                           "Alerts that an outside Alertmanager did not take.",
                                           {"alertmanager"});
  auto& latency = registry.AddSummaryFamily("prometheus_notifications_latency_seconds",
                                            "Duration of requests to an outside Alertmanager.",
                                            {"alertmanager"}, clock);
  auto& histogram = registry.AddHistogramFamily(
      "prometheus_notifications_latency_histogram_seconds",
      "Duration of requests to an outside Alertmanager.", {"alertmanager"}, {0.01, 0.1, 1, 10});
  return [&](const std::string& url, size_t alerts, bool taken, double seconds) {
    const std::string shown = config::HideUrlSecrets(url);
    sent.With({shown}).Add(alerts);
    metrics::Counter& failed = errors.With({shown});
    if (!taken) failed.Add(alerts);
    latency.With({shown}).Observe(seconds);
    histogram.With({shown}).Observe(seconds);
  };
}

std::function<void(const std::string&, bool, double)> CountNotifications(
    metrics::Registry& registry) {
  auto& latency = registry.AddHistogramFamily("alertmanager_notification_latency_seconds",
                                              "Duration of requests that send notifications.",
                                              {"integration"}, {0.1, 0.5, 1, 5, 10, 15, 20});
  auto& failed = registry.AddCounterFamily("alertmanager_notification_requests_failed_total",
                                           "Requests to send notifications that failed.",
                                           {"integration"});
  return [&](const std::string& integration, bool taken, double seconds) {
    latency.With({integration}).Observe(seconds);
    metrics::Counter& refused = failed.With({integration});
    if (!taken) refused.Increment();
  };
}

AlertConfigMetrics::AlertConfigMetrics(metrics::Registry& registry)
    : successful_(registry.AddGauge("alertmanager_config_last_reload_successful",
                                    "Whether the last look at the configuration took effect.")),
      at_seconds_(registry.AddGauge("alertmanager_config_last_reload_success_timestamp_seconds",
                                    "When one last took effect.")),
      hash_(registry.AddGauge("alertmanager_config_hash", "Hash of what is in effect.")) {}

void AlertConfigMetrics::Note(const Status& loaded, const std::string& text, int64_t now_ms) {
  successful_.Set(loaded.ok() ? 1 : 0);
  if (!loaded.ok()) return;
  at_seconds_.Set(static_cast<double>(now_ms) / 1000);
  // As many bits as a double holds.
  constexpr uint64_t kBits = (1ULL << 48) - 1;
  hash_.Set(static_cast<double>(std::hash<std::string>()(text) & kBits));
}

void AddAlertMetrics(metrics::Registry& registry, const alerting::Alerting& alerting,
                     const notify::AlertmanagerSender& sender, int64_t queue_capacity) {
  registry.AddCallback([&alerting, &sender, queue_capacity](std::vector<MetricFamily>& out) {
    States(alerting, out);
    Told(alerting, out);
    Sent(sender, queue_capacity, out);
  });
}

}  // namespace vedette
