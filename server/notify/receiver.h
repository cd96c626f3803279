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
#include "server/notify/mail_port.h"
#include "server/notify/message.h"

namespace vedette::notify {

// What signs requests to AWS.
struct AwsKeys {
  std::string region, service, access_key, secret_key, session_token;
};

// What every integration is made with.
struct NotifyContext {
  std::shared_ptr<const MessageTemplates> templates;
  HttpClientFactory http;
  std::function<Result<HttpClient>(const config::HttpClientConfig&, const AwsKeys&)> signed_http;
  MailClient mail;
  const Clock* clock = nullptr;  // Outlives the integrations.
};

// One maker a kind. Each checks its templates, so that a mistake is told when the configuration is
// loaded and not when the first alert fires.
Result<Integration> MakeWebhook(const config::WebhookConfig& config, const NotifyContext& context);
Result<Integration> MakeEmail(const config::EmailConfig& config, const NotifyContext& context);
Result<Integration> MakeSlack(const config::SlackConfig& config, const NotifyContext& context);
Result<Integration> MakePagerduty(const config::PagerdutyConfig& config,
                                  const NotifyContext& context);
Result<Integration> MakeOpsgenie(const config::OpsgenieConfig& config,
                                 const NotifyContext& context);
Result<Integration> MakeVictorops(const config::VictoropsConfig& config,
                                  const NotifyContext& context);
Result<Integration> MakePushover(const config::PushoverConfig& config,
                                 const NotifyContext& context);
Result<Integration> MakeTelegram(const config::TelegramConfig& config,
                                 const NotifyContext& context);
Result<Integration> MakeDiscord(const config::DiscordConfig& config, const NotifyContext& context);
Result<Integration> MakeMsteams(const config::MsteamsConfig& config, const NotifyContext& context);
Result<Integration> MakeMsteamsV2(const config::MsteamsV2Config& config,
                                  const NotifyContext& context);
Result<Integration> MakeWebex(const config::WebexConfig& config, const NotifyContext& context);
Result<Integration> MakeSns(const config::SnsConfig& config, const NotifyContext& context);
Result<Integration> MakeWechat(const config::WechatConfig& config, const NotifyContext& context);
Result<Integration> MakeJira(const config::JiraConfig& config, const NotifyContext& context);
Result<Integration> MakeRocketchat(const config::RocketchatConfig& config,
                                   const NotifyContext& context);
Result<Integration> MakeMattermost(const config::MattermostConfig& config,
                                   const NotifyContext& context);
Result<Integration> MakeIncidentio(const config::IncidentioConfig& config,
                                   const NotifyContext& context);

// All integrations of all receivers of a configuration. A mistake names the file, the line and the
// receiver.
Result<std::map<std::string, std::vector<Integration>>> MakeReceivers(
    const config::AlertmanagerConfig& config, const NotifyContext& context);

// Fails when a text is no template.
Status CheckTexts(const MessageTemplates& templates, std::span<const std::string_view> texts);

}  // namespace vedette::notify
