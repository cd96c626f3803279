// Receivers that write into a chat by one request: Telegram, Discord, Webex, Rocket.Chat,
// Mattermost. (Slack, Teams and WeChat have files of their own.)
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/strings.h"
#include "server/notify/posting.h"
#include "server/notify/receiver.h"

namespace vedette::notify {
namespace {

using Json = nlohmann::ordered_json;

// Each service's own limits.
constexpr size_t kMaxTelegramRunes = 4096;
constexpr size_t kMaxDiscordTitleRunes = 256;
constexpr size_t kMaxDiscordDescriptionRunes = 4096;
constexpr size_t kMaxDiscordContentRunes = 2000;
constexpr size_t kMaxWebexBytes = 7439;
constexpr size_t kMaxMattermostRunes = 16'383;

constexpr int kRed = 0x992D22;
constexpr int kGreen = 0x2ECC71;

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void SetIfAny(Json& object, const char* key, std::string value) {
  if (!value.empty()) object[key] = std::move(value);
}

// Some answer 200 and say inside that they did not take it.
SendOutcome Refused(std::string_view name, const Json& reply) {
  std::string why = reply.is_object() && reply.contains("error") && reply["error"].is_string()
                        ? reply["error"].get<std::string>()
                        : "";
  return {InvalidArgument(StrCat(name, ": refused: ", why.substr(0, 256))), false, 0};
}

Result<HttpPost> TelegramPost(const config::TelegramConfig& c, Expander& expand) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string token, SecretOrFile(c.bot_token, c.bot_token_file));
  Json body;
  if (c.chat_id_file.empty()) {
    body["chat_id"] = c.chat_id;
  } else {
    VEDETTE_ASSIGN_OR_RETURN(body["chat_id"], SecretOrFile({}, c.chat_id_file));
  }
  if (c.message_thread_id != 0) body["message_thread_id"] = c.message_thread_id;
  std::string text = TruncateMarkup(expand(c.message), kMaxTelegramRunes);
  if (Trim(text).empty()) text = "alert";  // The service refuses an empty one.
  body["text"] = text;
  SetIfAny(body, "parse_mode", c.parse_mode);
  body["disable_web_page_preview"] = true;
  if (c.disable_notifications) body["disable_notification"] = true;
  std::string base = c.api_url;
  while (base.ends_with('/')) base.pop_back();
  return HttpPost{.url = StrCat(base, "/bot", token, "/sendMessage"),
                  .headers = {{"Content-Type", "application/json"}},
                  .body = Dump(body)};
}

// The wait that Telegram asks for stands in the body, not in a header; but only with a 429, which
// has been judged by then. What is left to look at is "ok".
SendOutcome JudgeTelegram(const HttpReply& reply) {
  const Json json = Json::parse(reply.body, nullptr, false);
  if (json.is_object() && json.value("ok", true)) return {};
  return json.is_discarded() ? SendOutcome{} : Refused("telegram", json);
}

Result<HttpPost> DiscordPost(const config::DiscordConfig& c, const Notification& n,
                             Expander& expand) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string url, SecretOrFile(c.webhook_url, c.webhook_url_file));
  Json body;
  body["content"] = TruncateRunes(expand(c.content), kMaxDiscordContentRunes);
  body["embeds"] =
      Json::array({{{"title", TruncateRunes(expand(c.title), kMaxDiscordTitleRunes)},
                    {"description", TruncateRunes(expand(c.message), kMaxDiscordDescriptionRunes)},
                    {"color", n.firing() ? kRed : kGreen}}});
  SetIfAny(body, "username", expand(c.username));
  SetIfAny(body, "avatar_url", expand(c.avatar_url));
  return HttpPost{
      .url = url, .headers = {{"Content-Type", "application/json"}}, .body = Dump(body)};
}

Result<HttpPost> WebexPost(const config::WebexConfig& c, Expander& expand) {
  const Json body = {{"markdown", TruncateBytes(expand(c.message), kMaxWebexBytes)},
                     {"roomId", expand(c.room_id)}};
  return HttpPost{
      .url = c.api_url, .headers = {{"Content-Type", "application/json"}}, .body = Dump(body)};
}

Json SlackLikeFields(const std::vector<config::SlackField>& fields, bool short_fields,
                     Expander& expand) {
  Json out = Json::array();
  for (const config::SlackField& f : fields) {
    out.push_back({{"title", expand(f.title)},
                   {"value", expand(f.value)},
                   {"short", f.is_short.value_or(short_fields)}});
  }
  return out;
}

Result<HttpPost> RocketchatPost(const config::RocketchatConfig& c, Expander& expand) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string token, SecretOrFile(c.token, c.token_file));
  VEDETTE_ASSIGN_OR_RETURN(const std::string user, SecretOrFile(c.token_id, c.token_id_file));
  Json attachment;
  SetIfAny(attachment, "title", TruncateRunes(expand(c.title), 1024));
  SetIfAny(attachment, "title_link", expand(c.title_link));
  SetIfAny(attachment, "text", expand(c.text));
  SetIfAny(attachment, "image_url", expand(c.image_url));
  SetIfAny(attachment, "thumb_url", expand(c.thumb_url));
  SetIfAny(attachment, "color", expand(c.color));
  if (!c.fields.empty()) attachment["fields"] = SlackLikeFields(c.fields, c.short_fields, expand);
  for (const config::RocketchatAction& a : c.actions) {
    Json action = {{"type", expand(a.type)}, {"text", expand(a.text)}};
    SetIfAny(action, "url", expand(a.url));
    SetIfAny(action, "msg", expand(a.msg));
    attachment["actions"].push_back(std::move(action));
  }
  Json body;
  SetIfAny(body, "channel", expand(c.channel));
  SetIfAny(body, "emoji", expand(c.emoji));
  SetIfAny(body, "avatar", expand(c.icon_url));
  if (c.link_names) body["parseUrls"] = true;
  body["attachments"] = Json::array({std::move(attachment)});
  std::string base = c.api_url;
  while (base.ends_with('/')) base.pop_back();
  return HttpPost{.url = base + "/api/v1/chat.postMessage",
                  .headers = {{"Content-Type", "application/json"},
                              {"X-Auth-Token", token},
                              {"X-User-Id", user}},
                  .body = Dump(body)};
}

SendOutcome JudgeRocketchat(const HttpReply& reply) {
  const Json json = Json::parse(reply.body, nullptr, false);
  if (json.is_object() && !json.value("success", true)) return Refused("rocketchat", json);
  return {};
}

Result<HttpPost> MattermostPost(const config::MattermostConfig& c, Expander& expand) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string url, SecretOrFile(c.webhook_url, c.webhook_url_file));
  Json body;
  SetIfAny(body, "channel", expand(c.channel));
  SetIfAny(body, "username", expand(c.username));
  SetIfAny(body, "text", TruncateRunes(expand(c.text), kMaxMattermostRunes));
  SetIfAny(body, "icon_url", expand(c.icon_url));
  SetIfAny(body, "icon_emoji", expand(c.icon_emoji));
  for (const config::MattermostAttachment& a : c.attachments) {
    Json one;
    for (const auto& [key, text] :
         {std::pair("fallback", &a.fallback), std::pair("color", &a.color),
          std::pair("pretext", &a.pretext), std::pair("text", &a.text),
          std::pair("author_name", &a.author_name), std::pair("author_link", &a.author_link),
          std::pair("author_icon", &a.author_icon), std::pair("title", &a.title),
          std::pair("title_link", &a.title_link), std::pair("thumb_url", &a.thumb_url),
          std::pair("footer", &a.footer), std::pair("footer_icon", &a.footer_icon),
          std::pair("image_url", &a.image_url)}) {
      SetIfAny(one, key, expand(*text));
    }
    if (!a.fields.empty()) one["fields"] = SlackLikeFields(a.fields, false, expand);
    body["attachments"].push_back(std::move(one));
  }
  if (!c.props_card.empty()) body["props"] = {{"card", expand(c.props_card)}};
  if (!c.priority.empty()) {
    body["priority"] = {{"priority", expand(c.priority)},
                        {"requested_ack", c.requested_ack},
                        {"persistent_notifications", c.persistent_notifications}};
  }
  return HttpPost{
      .url = url, .headers = {{"Content-Type", "application/json"}}, .body = Dump(body)};
}

}  // namespace

Result<Integration> MakeTelegram(const config::TelegramConfig& config,
                                 const NotifyContext& context) {
  return MakePosting(config, context,
                     {.name = "telegram",
                      .escape = config.parse_mode == "HTML" ? Escape::kHtml : Escape::kNone,
                      .texts = {config.message},
                      .compose = [c = config](const Notification&,
                                              Expander& expand) { return TelegramPost(c, expand); },
                      .judge = JudgeTelegram});
}

Result<Integration> MakeDiscord(const config::DiscordConfig& config, const NotifyContext& context) {
  return MakePosting(
      config, context,
      {.name = "discord",
       .texts = {config.title, config.message, config.content, config.username, config.avatar_url},
       .compose = [c = config](const Notification& n, Expander& expand) {
         return DiscordPost(c, n, expand);
       }});
}

Result<Integration> MakeWebex(const config::WebexConfig& config, const NotifyContext& context) {
  return MakePosting(config, context,
                     {.name = "webex",
                      .texts = {config.message, config.room_id},
                      .compose = [c = config](const Notification&, Expander& expand) {
                        return WebexPost(c, expand);
                      }});
}

Result<Integration> MakeRocketchat(const config::RocketchatConfig& config,
                                   const NotifyContext& context) {
  std::vector<std::string_view> texts = {config.channel,    config.color,     config.title,
                                         config.title_link, config.text,      config.emoji,
                                         config.icon_url,   config.image_url, config.thumb_url};
  for (const auto& f : config.fields) texts.insert(texts.end(), {f.title, f.value});
  for (const auto& a : config.actions) texts.insert(texts.end(), {a.type, a.text, a.url, a.msg});
  return MakePosting(
      config, context,
      {.name = "rocketchat",
       .texts = texts,
       .compose = [c = config](const Notification&,
                               Expander& expand) { return RocketchatPost(c, expand); },
       .judge = JudgeRocketchat});
}

Result<Integration> MakeMattermost(const config::MattermostConfig& config,
                                   const NotifyContext& context) {
  std::vector<std::string_view> texts = {config.channel,  config.username,   config.text,
                                         config.icon_url, config.icon_emoji, config.props_card,
                                         config.priority};
  for (const auto& a : config.attachments) {
    texts.insert(texts.end(), {a.fallback, a.color, a.pretext, a.text, a.author_name, a.title,
                               a.title_link, a.footer});
  }
  return MakePosting(config, context,
                     {.name = "mattermost",
                      .texts = texts,
                      .compose = [c = config](const Notification&, Expander& expand) {
                        return MattermostPost(c, expand);
                      }});
}

}  // namespace vedette::notify
