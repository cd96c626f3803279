#include <algorithm>
#include <memory>
#include <utility>

#include <nlohmann/json.hpp>

#include "common/base/strings.h"
#include "server/notify/receiver.h"
#include "server/notify/template_tree.h"
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

// Alertmanager's webhook message, version 4.
Json Payload(const Notification& n, const std::string& external_url, uint64_t max_alerts) {
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
          {"version", "4"},
          {"groupKey", n.group_key},
          {"truncatedAlerts", truncated}};
}

SendOutcome Send(const config::WebhookConfig& c, const NotifyContext& context,
                 const HttpClient& client, const Notification& n, int64_t timeout_ms) {
  Expander expand(*context.templates,
                  MessageData(n, context.templates->external_url(), Escape::kNone));
  Result<std::string> url = SecretOrFile(c.url, c.url_file);
  if (!url.ok()) return {url.status().Annotate("webhook"), true, 0};
  HttpPost post{.url = expand(*url),
                .headers = {{"Content-Type", "application/json"}},
                .timeout_ms = c.timeout_ms > 0 ? std::min(c.timeout_ms, timeout_ms) : timeout_ms};
  if (c.payload) {
    post.body = ExpandTree(*c.payload, expand);
  } else {
    post.body = Payload(n, context.templates->external_url(), c.max_alerts)
                    .dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  if (!expand.status().ok()) return {expand.status().Annotate("webhook"), false, 0};
  return PostAndJudge(client, post, "webhook", context.clock->NowMs());
}

}  // namespace

Result<Integration> MakeWebhook(const config::WebhookConfig& config, const NotifyContext& context) {
  const std::string_view texts[] = {config.url.Reveal()};
  // The text itself is a secret: say only that it is wrong.
  if (!CheckTexts(*context.templates, texts).ok()) {
    return InvalidArgument("the webhook's url is no template that can be read");
  }
  if (config.payload) {
    VEDETTE_RETURN_IF_ERROR(CheckTree(*config.payload, *context.templates));
  }
  VEDETTE_ASSIGN_OR_RETURN(HttpClient client, context.http(config.http));
  auto c = std::make_shared<const config::WebhookConfig>(config);
  return Integration{.name = "webhook",
                     .send_resolved = config.send_resolved,
                     .send = [c, context, client](const Notification& n, int64_t timeout_ms) {
                       return Send(*c, context, client, n, timeout_ms);
                     }};
}

}  // namespace vedette::notify
