#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/config/alertmanager.h"
#include "common/config/receivers.h"
#include "common/model/notification.h"
#include "server/notify/http_port.h"
#include "server/notify/message.h"

namespace vedette::notify {

// What every integration is made with.
struct NotifyContext {
  std::shared_ptr<const MessageTemplates> templates;
  HttpClientFactory http;
  const Clock* clock = nullptr;  // Outlives the integrations.
};

// One maker a kind. Each checks its templates, so that a mistake is told when the configuration is
// loaded and not when the first alert fires.
Result<Integration> MakeSlack(const config::SlackConfig& config, const NotifyContext& context);
Result<Integration> MakeWebhook(const config::WebhookConfig& config, const NotifyContext& context);
Result<Integration> MakePagerduty(const config::PagerdutyConfig& config,
                                  const NotifyContext& context);

// All integrations of all receivers of a configuration. kUnimplemented for a kind that this build
// cannot tell through, with the receiver's name: never ignored in silence.
Result<std::map<std::string, std::vector<Integration>>> MakeReceivers(
    const config::AlertmanagerConfig& config, const NotifyContext& context);

// Fails when a text is no template.
Status CheckTexts(const MessageTemplates& templates, std::span<const std::string_view> texts);

}  // namespace vedette::notify
