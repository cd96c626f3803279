#include "server/notify/webhook_message.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "server/notify/message.h"
#include "server/template/time_format.h"

namespace vedette::notify {
namespace {

using Json = nlohmann::ordered_json;

Json Object(const Labels& labels) {
  Json out = Json::object();
  for (const Label& l : labels) out[std::string(l.name)] = std::string(l.value);
  return out;
}

std::string TimeText(int64_t t_ms) {
  return t_ms == 0 ? "0001-01-01T00:00:00Z" : tmpl::FormatRfc3339(t_ms);
}

Json Payload(const Notification& n, const std::string& external_url, uint64_t max_alerts,
             std::string_view version) {
  Json alerts = Json::array();
  for (const Alert& a : n.alerts) {
    if (max_alerts > 0 && alerts.size() == max_alerts) break;
    alerts.push_back({{"status", a.resolved_at(n.now_ms) ? "resolved" : "firing"},
                      {"labels", Object(a.labels)},
                      {"annotations", Object(a.annotations)},
                      {"startsAt", TimeText(a.starts_at_ms)},
                      {"endsAt", TimeText(a.ends_at_ms)},
                      {"generatorURL", a.generator_url},
                      {"fingerprint", AlertFingerprintText(a.labels)}});
  }
  const size_t truncated = n.alerts.size() - alerts.size();
  return {{"receiver", n.receiver},
          {"status", n.firing() ? "firing" : "resolved"},
          {"alerts", std::move(alerts)},
          {"groupLabels", Object(n.group_labels)},
          {"commonLabels", Object(CommonLabels(n.alerts))},
          {"commonAnnotations", Object(CommonAnnotations(n.alerts))},
          {"externalURL", external_url},
          {"version", version},
          {"groupKey", n.group_key},
          {"truncatedAlerts", truncated}};
}

}  // namespace

std::string WebhookMessage(const Notification& n, const std::string& external_url,
                           uint64_t max_alerts, std::string_view version) {
  return Payload(n, external_url, max_alerts, version)
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace vedette::notify
