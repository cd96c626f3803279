#pragma once

#include "common/config/decoder.h"
#include "common/config/receivers.h"

// Between alertmanager.cc and receiver_loaders.cc only.
namespace vedette::config {

// alertmanager.yml's `global`: what receivers fall back to.
struct ReceiverDefaults {
  HttpClientConfig http;
  std::string smtp_from, smtp_smarthost, smtp_hello = "localhost";
  std::string smtp_auth_username, smtp_auth_password_file, smtp_auth_identity;
  std::string smtp_auth_secret_file;
  Secret smtp_auth_password, smtp_auth_secret;
  bool smtp_require_tls = true;
  std::optional<bool> smtp_force_implicit_tls;
  TlsConfig smtp_tls;
  Secret slack_api_url, slack_app_token;
  std::string slack_api_url_file, slack_app_token_file;
  std::string slack_app_url = "https://slack.com/api/chat.postMessage";
  std::string pagerduty_url = "https://events.pagerduty.com/v2/enqueue";
  std::string opsgenie_api_url = "https://api.opsgenie.com/";
  Secret opsgenie_api_key;
  std::string opsgenie_api_key_file;
  std::string victorops_api_url =
      "https://alert.victorops.com/integrations/generic/20131114/alert/";
  Secret victorops_api_key;
  std::string victorops_api_key_file;
  std::string jira_api_url;
  std::string telegram_api_url = "https://api.telegram.org";
  Secret telegram_bot_token;
  std::string telegram_bot_token_file;
  std::string wechat_api_url = "https://qyapi.weixin.qq.com/cgi-bin/";
  Secret wechat_api_secret;
  std::string wechat_api_secret_file, wechat_api_corp_id;
  std::string webex_api_url = "https://webexapis.com/v1/messages";
  std::string rocketchat_api_url = "https://open.rocket.chat/";
  Secret rocketchat_token, rocketchat_token_id;
  std::string rocketchat_token_file, rocketchat_token_id_file;
  Secret mattermost_webhook_url;
  std::string mattermost_webhook_url_file;
};

void ReadReceiverDefaults(Object& global, ReceiverDefaults& out);
void ReadReceiver(const Value& item, const ReceiverDefaults& defaults, ReceiverConfig& out);

}  // namespace vedette::config
