#include <algorithm>
#include <memory>
#include <utility>

#include "common/base/strings.h"
#include "server/notify/receiver.h"
#include "server/notify/template_tree.h"
#include "server/notify/webhook_message.h"

namespace vedette::notify {
namespace {

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
    post.body = WebhookMessage(n, context.templates->external_url(), c.max_alerts, "4");
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
