#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/config/http_client.h"
#include "common/config/secret.h"

// One struct for each way of telling somebody. Field names and defaults are Alertmanager's; a
// string marked T is a template. What `global` supplies (URLs, keys, the SMTP relay) is already
// filled in, so server/notify needs nothing but its own struct.
namespace vedette::config {

// A YAML value of any shape whose strings are templates: a webhook's payload, Jira's fields.
struct TemplateTree {
  enum class Kind : uint8_t { kNull, kBool, kNumber, kString, kList, kMap };

  Kind kind = Kind::kNull;
  std::string scalar;  // true, 12.5, or the text.
  std::vector<TemplateTree> items;
  std::vector<std::pair<std::string, TemplateTree>> fields;  // In the order of the file.

  bool operator==(const TemplateTree&) const = default;
};

// What every integration has.
struct IntegrationConfig {
  bool send_resolved = true;
  HttpClientConfig http;   // The integration's http_config, or global's.
  int64_t timeout_ms = 0;  // 0: until the group's own deadline.
  int line = 0;

  bool operator==(const IntegrationConfig&) const = default;
};

struct WebhookConfig : IntegrationConfig {
  Secret url;  // T. A secret, because tokens are often in its path.
  std::string url_file;
  uint64_t max_alerts = 0;
  std::optional<TemplateTree> payload;

  bool operator==(const WebhookConfig&) const = default;
};

struct EmailConfig : IntegrationConfig {
  std::string to;    // T
  std::string from;  // T
  std::string smarthost;
  uint16_t smarthost_port = 0;
  std::string hello;
  std::string auth_username;
  Secret auth_password;
  std::string auth_password_file;
  Secret auth_secret;
  std::string auth_secret_file;
  std::string auth_identity;
  bool require_tls = true;
  std::optional<bool> force_implicit_tls;  // Unset: on port 465.
  TlsConfig tls;
  std::map<std::string, std::string> headers;  // T. Names in canonical form: Subject, From, To.
  std::string html = R"({{ template "email.default.html" . }})";
  std::string text;
  bool threading_enabled = false;
  std::string thread_by_date = "daily";  // or none

  bool operator==(const EmailConfig&) const = default;
};

struct SlackField {
  std::string title;  // T
  std::string value;  // T
  std::optional<bool> is_short;

  bool operator==(const SlackField&) const = default;
};

struct SlackAction {
  struct Confirm {
    std::string title, text, ok_text, dismiss_text;  // T

    bool operator==(const Confirm&) const = default;
  };

  std::string type, text, url, style, name, value;  // T
  std::optional<Confirm> confirm;

  bool operator==(const SlackAction&) const = default;
};

struct SlackConfig : IntegrationConfig {
  Secret api_url;  // An incoming webhook; or app_url with app_token, a bot.
  std::string api_url_file;
  Secret app_token;
  std::string app_token_file;
  std::string app_url;
  std::string channel;  // T
  std::string username = R"({{ template "slack.default.username" . }})";
  std::string color = R"({{ if eq .Status "firing" }}danger{{ else }}good{{ end }})";
  std::string title = R"({{ template "slack.default.title" . }})";
  std::string title_link = R"({{ template "slack.default.titlelink" . }})";
  std::string pretext = R"({{ template "slack.default.pretext" . }})";
  std::string text = R"({{ template "slack.default.text" . }})";
  std::string message_text;  // T
  std::vector<SlackField> fields;
  bool short_fields = false;
  std::string footer = R"({{ template "slack.default.footer" . }})";
  std::string fallback = R"({{ template "slack.default.fallback" . }})";
  std::string callback_id = R"({{ template "slack.default.callbackid" . }})";
  std::string icon_emoji = R"({{ template "slack.default.iconemoji" . }})";
  std::string icon_url = R"({{ template "slack.default.iconurl" . }})";
  std::string image_url;  // T
  std::string thumb_url;  // T
  bool link_names = false;
  std::vector<std::string> mrkdwn_in = {"fallback", "pretext", "text"};
  std::vector<SlackAction> actions;
  bool update_message = false;

  bool operator==(const SlackConfig&) const = default;
};

struct PagerdutyLink {
  std::string href, text;  // T

  bool operator==(const PagerdutyLink&) const = default;
};

struct PagerdutyImage {
  std::string src, alt, href;  // T

  bool operator==(const PagerdutyImage&) const = default;
};

struct PagerdutyConfig : IntegrationConfig {
  Secret routing_key;  // Events API v2; T
  std::string routing_key_file;
  Secret service_key;  // Events API v1; T
  std::string service_key_file;
  std::string url;
  std::string client = R"({{ template "pagerduty.default.client" . }})";
  std::string client_url = R"({{ template "pagerduty.default.clientURL" . }})";
  std::string description = R"({{ template "pagerduty.default.description" .}})";
  std::string severity = "error";
  std::string source;  // T. The client where nothing is given.
  std::string event_class;
  std::string component;
  std::string group;
  std::map<std::string, TemplateTree> details;
  std::vector<PagerdutyImage> images;
  std::vector<PagerdutyLink> links;

  bool operator==(const PagerdutyConfig&) const = default;
};

struct OpsgenieResponder {
  std::string id, name, username, type;  // T

  bool operator==(const OpsgenieResponder&) const = default;
};

struct OpsgenieConfig : IntegrationConfig {
  Secret api_key;  // T
  std::string api_key_file;
  std::string api_url;
  std::string message = R"({{ template "opsgenie.default.message" . }})";
  std::string description = R"({{ template "opsgenie.default.description" . }})";
  std::string source = R"({{ template "opsgenie.default.source" . }})";
  std::map<std::string, std::string> details;
  std::string entity;
  std::vector<OpsgenieResponder> responders;
  std::string tags;
  std::string note;
  std::string priority;
  std::string actions;
  bool update_alerts = false;

  bool operator==(const OpsgenieConfig&) const = default;
};

struct VictoropsConfig : IntegrationConfig {
  Secret api_key;
  std::string api_key_file;
  std::string api_url;
  std::string routing_key;  // T
  std::string message_type = "CRITICAL";
  std::string state_message = R"({{ template "victorops.default.state_message" . }})";
  std::string entity_display_name = R"({{ template "victorops.default.entity_display_name" . }})";
  std::string monitoring_tool = R"({{ template "victorops.default.monitoring_tool" . }})";
  std::map<std::string, std::string> custom_fields;  // T

  bool operator==(const VictoropsConfig&) const = default;
};

struct PushoverConfig : IntegrationConfig {
  Secret user_key;
  std::string user_key_file;
  Secret token;
  std::string token_file;
  std::string title = R"({{ template "pushover.default.title" . }})";
  std::string message = R"({{ template "pushover.default.message" . }})";
  std::string url = R"({{ template "pushover.default.url" . }})";
  std::string url_title;
  std::string device;
  std::string sound;
  std::string priority = R"({{ if eq .Status "firing" }}2{{ else }}0{{ end }})";
  int64_t retry_ms = 60'000;
  int64_t expire_ms = 3'600'000;
  int64_t ttl_ms = 0;
  bool html = false;
  bool monospace = false;

  bool operator==(const PushoverConfig&) const = default;
};

struct TelegramConfig : IntegrationConfig {
  std::string api_url;
  Secret bot_token;
  std::string bot_token_file;
  int64_t chat_id = 0;
  std::string chat_id_file;
  int64_t message_thread_id = 0;
  std::string message = R"({{ template "telegram.default.message" . }})";
  bool disable_notifications = false;
  std::string parse_mode = "HTML";

  bool operator==(const TelegramConfig&) const = default;
};

struct DiscordConfig : IntegrationConfig {
  Secret webhook_url;
  std::string webhook_url_file;
  std::string title = R"({{ template "discord.default.title" . }})";
  std::string message = R"({{ template "discord.default.message" . }})";
  std::string content;
  std::string username;
  std::string avatar_url;

  bool operator==(const DiscordConfig&) const = default;
};

struct MsteamsConfig : IntegrationConfig {
  Secret webhook_url;
  std::string webhook_url_file;
  std::string title = R"({{ template "msteams.default.title" . }})";
  std::string summary = R"({{ template "msteams.default.summary" . }})";
  std::string text = R"({{ template "msteams.default.text" . }})";

  bool operator==(const MsteamsConfig&) const = default;
};

struct MsteamsV2Config : IntegrationConfig {
  Secret webhook_url;
  std::string webhook_url_file;
  std::string title = R"({{ template "msteamsv2.default.title" . }})";
  std::string text = R"({{ template "msteamsv2.default.text" . }})";

  bool operator==(const MsteamsV2Config&) const = default;
};

struct WebexConfig : IntegrationConfig {
  std::string api_url;
  std::string room_id;  // T
  std::string message = R"({{ template "webex.default.message" . }})";

  bool operator==(const WebexConfig&) const = default;
};

struct SnsConfig : IntegrationConfig {
  std::string api_url;  // T
  std::string region;   // The sigv4 block.
  std::string access_key;
  Secret secret_key;
  std::string profile;
  std::string role_arn;
  std::string external_id;
  bool use_fips_sts_endpoint = false;
  bool use_aws_http_client = false;
  std::string topic_arn;     // T. Exactly one of these three.
  std::string phone_number;  // T
  std::string target_arn;    // T
  std::string subject = R"({{ template "sns.default.subject" . }})";
  std::string message = R"({{ template "sns.default.message" . }})";
  std::map<std::string, std::string> attributes;  // T

  bool operator==(const SnsConfig&) const = default;
};

struct WechatConfig : IntegrationConfig {
  Secret api_secret;
  std::string api_secret_file;
  std::string corp_id;  // T
  std::string api_url;
  std::string message = R"({{ template "wechat.default.message" . }})";
  std::string to_user = R"({{ template "wechat.default.to_user" . }})";
  std::string to_party = R"({{ template "wechat.default.to_party" . }})";
  std::string to_tag = R"({{ template "wechat.default.to_tag" . }})";
  std::string agent_id = R"({{ template "wechat.default.agent_id" . }})";
  std::string message_type = "text";  // or markdown

  bool operator==(const WechatConfig&) const = default;
};

struct JiraConfig : IntegrationConfig {
  std::string api_url;
  std::string api_type = "auto";  // cloud, datacenter
  std::string project;            // T
  std::string summary = R"({{ template "jira.default.summary" . }})";
  bool summary_enable_update = true;
  std::string description = R"({{ template "jira.default.description" . }})";
  bool description_enable_update = true;
  std::vector<std::string> labels;  // T
  std::string priority = R"({{ template "jira.default.priority" . }})";
  std::string issue_type;  // T
  std::string resolve_transition;
  std::string reopen_transition;
  std::string wont_fix_resolution;
  int64_t reopen_duration_ms = 0;
  std::map<std::string, TemplateTree> fields;

  bool operator==(const JiraConfig&) const = default;
};

struct RocketchatAction {
  std::string type, text, url, msg;  // T

  bool operator==(const RocketchatAction&) const = default;
};

struct RocketchatConfig : IntegrationConfig {
  std::string api_url;
  Secret token;
  std::string token_file;
  Secret token_id;
  std::string token_id_file;
  std::string channel;  // T
  std::string color = R"({{ if eq .Status "firing" }}red{{ else }}green{{ end }})";
  std::string title = R"({{ template "rocketchat.default.title" . }})";
  std::string title_link = R"({{ template "rocketchat.default.titlelink" . }})";
  std::string text = R"({{ template "rocketchat.default.text" . }})";
  std::vector<SlackField> fields;
  bool short_fields = false;
  std::string emoji = R"({{ template "rocketchat.default.emoji" . }})";
  std::string icon_url = R"({{ template "rocketchat.default.iconurl" . }})";
  std::string image_url;
  std::string thumb_url;
  bool link_names = false;
  std::vector<RocketchatAction> actions;

  bool operator==(const RocketchatConfig&) const = default;
};

struct MattermostAttachment {
  std::string fallback, color, pretext, text, author_name, author_link, author_icon, title,
      title_link, thumb_url, footer, footer_icon, image_url;  // T
  std::vector<SlackField> fields;

  bool operator==(const MattermostAttachment&) const = default;
};

struct MattermostConfig : IntegrationConfig {
  Secret webhook_url;
  std::string webhook_url_file;
  std::string channel;
  std::string username = R"({{ template "mattermost.default.username" . }})";
  std::string text = R"({{ template "mattermost.default.text" . }})";
  std::string icon_url;
  std::string icon_emoji;
  std::vector<MattermostAttachment> attachments;
  std::string props_card;
  std::string priority;
  bool requested_ack = false;
  bool persistent_notifications = false;

  bool operator==(const MattermostConfig&) const = default;
};

struct IncidentioConfig : IntegrationConfig {
  std::string url;
  std::string url_file;
  Secret alert_source_token;
  std::string alert_source_token_file;
  uint64_t max_alerts = 0;

  bool operator==(const IncidentioConfig&) const = default;
};

struct ReceiverConfig {
  std::string name;
  std::map<std::string, std::string> labels;
  std::vector<WebhookConfig> webhook;
  std::vector<EmailConfig> email;
  std::vector<SlackConfig> slack;
  std::vector<PagerdutyConfig> pagerduty;
  std::vector<OpsgenieConfig> opsgenie;
  std::vector<VictoropsConfig> victorops;
  std::vector<PushoverConfig> pushover;
  std::vector<TelegramConfig> telegram;
  std::vector<DiscordConfig> discord;
  std::vector<MsteamsConfig> msteams;
  std::vector<MsteamsV2Config> msteamsv2;
  std::vector<WebexConfig> webex;
  std::vector<SnsConfig> sns;
  std::vector<WechatConfig> wechat;
  std::vector<JiraConfig> jira;
  std::vector<RocketchatConfig> rocketchat;
  std::vector<MattermostConfig> mattermost;
  std::vector<IncidentioConfig> incidentio;

  bool operator==(const ReceiverConfig&) const = default;
};

}  // namespace vedette::config
