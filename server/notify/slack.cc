#include <algorithm>
#include <memory>
#include <utility>

#include <nlohmann/json.hpp>

#include "common/base/strings.h"
#include "server/notify/receiver.h"
#include "server/notify/slack_escape.h"

namespace vedette::notify {
namespace {

using Json = nlohmann::ordered_json;

// Slack's own limits, in characters. Escaping may make one of ours five of theirs, so cutting comes
// after it.
constexpr size_t kMaxTitleRunes = 1024;
constexpr size_t kMaxTextRunes = 8000;
constexpr size_t kMaxFallbackRunes = 8000;
constexpr size_t kMaxMessageRunes = 4000;
constexpr size_t kMaxFieldRunes = 2000;
constexpr size_t kMaxFields = 100;
constexpr size_t kMaxActions = 5;

void SetIfAny(Json& object, const char* key, std::string value) {
  if (!value.empty()) object[key] = std::move(value);
}

Json Fields(const config::SlackConfig& c, Expander& expand) {
  Json out = Json::array();
  for (const config::SlackField& f : c.fields) {
    if (out.size() == kMaxFields) break;
    Json field = {{"title", TruncateMarkup(EscapeSlackText(expand(f.title)), kMaxFieldRunes)},
                  {"value", TruncateMarkup(EscapeSlackText(expand(f.value)), kMaxFieldRunes)},
                  {"short", f.is_short.value_or(c.short_fields)}};
    // Slack refuses a field that says nothing.
    if (field["title"] != "" || field["value"] != "") out.push_back(std::move(field));
  }
  return out;
}

Json Actions(const config::SlackConfig& c, Expander& expand) {
  Json out = Json::array();
  for (const config::SlackAction& a : c.actions) {
    if (out.size() == kMaxActions) break;
    Json action = {{"type", expand(a.type)}, {"text", expand(a.text)}};
    SetIfAny(action, "url", expand(a.url));
    SetIfAny(action, "style", expand(a.style));
    SetIfAny(action, "name", expand(a.name));
    SetIfAny(action, "value", expand(a.value));
    if (a.confirm) {
      Json confirm = {{"text", expand(a.confirm->text)}};
      SetIfAny(confirm, "title", expand(a.confirm->title));
      SetIfAny(confirm, "ok_text", expand(a.confirm->ok_text));
      SetIfAny(confirm, "dismiss_text", expand(a.confirm->dismiss_text));
      action["confirm"] = std::move(confirm);
    }
    if (action["type"] != "" && action["text"] != "") out.push_back(std::move(action));
  }
  return out;
}

// The incoming webhook's payload, as Alertmanager sends it.
Result<Json> Payload(const config::SlackConfig& c, const NotifyContext& context,
                     const Notification& n) {
  Expander expand(*context.templates,
                  MessageData(n, context.templates->external_url(), Escape::kSlack));
  auto text = [&](std::string_view t, size_t runes) {
    return TruncateMarkup(EscapeSlackText(expand(t)), runes);
  };
  // Links and names are no markup: there the labels must be as they are.
  Expander plain(*context.templates,
                 MessageData(n, context.templates->external_url(), Escape::kNone));

  Json attachment;
  SetIfAny(attachment, "title", text(c.title, kMaxTitleRunes));
  const std::string link = plain(c.title_link);
  if (link.starts_with("http://") || link.starts_with("https://")) attachment["title_link"] = link;
  SetIfAny(attachment, "pretext", text(c.pretext, kMaxTextRunes));
  SetIfAny(attachment, "text", text(c.text, kMaxTextRunes));
  SetIfAny(attachment, "fallback", text(c.fallback, kMaxFallbackRunes));
  SetIfAny(attachment, "callback_id", plain(c.callback_id));
  if (Json fields = Fields(c, expand); !fields.empty()) attachment["fields"] = std::move(fields);
  if (Json actions = Actions(c, plain); !actions.empty()) {
    attachment["actions"] = std::move(actions);
  }
  SetIfAny(attachment, "image_url", plain(c.image_url));
  SetIfAny(attachment, "thumb_url", plain(c.thumb_url));
  SetIfAny(attachment, "footer", text(c.footer, 300));
  SetIfAny(attachment, "color", plain(c.color));
  if (!c.mrkdwn_in.empty()) attachment["mrkdwn_in"] = c.mrkdwn_in;

  Json payload;
  SetIfAny(payload, "channel", plain(c.channel));
  SetIfAny(payload, "username", plain(c.username));
  SetIfAny(payload, "icon_emoji", plain(c.icon_emoji));
  SetIfAny(payload, "icon_url", plain(c.icon_url));
  if (c.link_names) payload["link_names"] = true;
  SetIfAny(payload, "text", text(c.message_text, kMaxMessageRunes));
  payload["attachments"] = Json::array({std::move(attachment)});
  VEDETTE_RETURN_IF_ERROR(expand.status());
  VEDETTE_RETURN_IF_ERROR(plain.status());
  return payload;
}

// The Web API answers 200 and says inside whether it took it. With update_message the message that
// the group has is changed; where it is gone, a new one is written. The receipt is
// "channel timestamp", which is how Slack names a message.
SendOutcome SendAsBot(const config::SlackConfig& c, const NotifyContext& context,
                      const HttpClient& client, const Notification& n, Json payload, HttpPost post,
                      const std::string& token) {
  post.headers = {{"Content-Type", "application/json; charset=utf-8"},
                  {"Authorization", "Bearer " + token}};
  const size_t space = n.receipt.find(' ');
  bool update = c.update_message && space != std::string::npos;
  while (true) {
    post.url = c.app_url;
    Json body = payload;
    if (update) {
      constexpr std::string_view kPost = "chat.postMessage";
      if (post.url.ends_with(kPost)) {
        post.url = post.url.substr(0, post.url.size() - kPost.size()) + "chat.update";
      }
      body["channel"] = n.receipt.substr(0, space);
      body["ts"] = n.receipt.substr(space + 1);
    }
    post.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
    HttpReply reply;
    SendOutcome outcome = PostAndJudge(client, post, "slack", context.clock->NowMs(), &reply);
    if (!outcome.status.ok()) return outcome;
    const Json answer = Json::parse(reply.body, nullptr, false);
    if (!answer.is_object() || !answer.value("ok", false)) {
      const std::string error = answer.is_object() ? answer.value("error", "") : "no JSON";
      if (update && (error == "message_not_found" || error == "cant_update_message" ||
                     error == "edit_window_closed")) {
        update = false;
        continue;
      }
      const bool retry = error == "ratelimited" || error == "internal_error" ||
                         error == "fatal_error" || error == "service_unavailable";
      return {InvalidArgument(StrCat("slack: refused: ", error)), retry, 0};
    }
    const std::string channel = answer.value("channel", ""), ts = answer.value("ts", "");
    if (!channel.empty() && !ts.empty()) outcome.receipt = StrCat(channel, " ", ts);
    return outcome;
  }
}

SendOutcome Send(const config::SlackConfig& c, const NotifyContext& context,
                 const HttpClient& client, const Notification& n, int64_t timeout_ms) {
  Result<Json> payload = Payload(c, context, n);
  if (!payload.ok()) return {payload.status().Annotate("slack"), false, 0};
  HttpPost post{.headers = {{"Content-Type", "application/json"}},
                // Bytes that are no UTF-8 become the replacement character.
                .body = payload->dump(-1, ' ', false, Json::error_handler_t::replace),
                .timeout_ms = c.timeout_ms > 0 ? std::min(c.timeout_ms, timeout_ms) : timeout_ms};
  const bool bot = !c.app_token.empty() || !c.app_token_file.empty();
  Result<std::string> secret =
      bot ? SecretOrFile(c.app_token, c.app_token_file) : SecretOrFile(c.api_url, c.api_url_file);
  // A file that is being rotated may be back in a moment.
  if (!secret.ok()) return {secret.status().Annotate("slack"), true, 0};
  if (bot) return SendAsBot(c, context, client, n, *std::move(payload), std::move(post), *secret);
  post.url = *secret;
  return PostAndJudge(client, post, "slack", context.clock->NowMs());
}

}  // namespace

Result<Integration> MakeSlack(const config::SlackConfig& config, const NotifyContext& context) {
  std::vector<std::string_view> texts = {config.channel,  config.username,     config.color,
                                         config.title,    config.title_link,   config.pretext,
                                         config.text,     config.message_text, config.footer,
                                         config.fallback, config.callback_id,  config.icon_emoji,
                                         config.icon_url, config.image_url,    config.thumb_url};
  for (const auto& f : config.fields) {
    texts.push_back(f.title);
    texts.push_back(f.value);
  }
  for (const auto& a : config.actions) {
    texts.insert(texts.end(), {a.type, a.text, a.url, a.style, a.name, a.value});
  }
  VEDETTE_RETURN_IF_ERROR(CheckTexts(*context.templates, texts));
  VEDETTE_ASSIGN_OR_RETURN(HttpClient client, context.http(config.http));
  auto c = std::make_shared<const config::SlackConfig>(config);
  return Integration{.name = "slack",
                     .send_resolved = config.send_resolved,
                     .send = [c, context, client](const Notification& n, int64_t timeout_ms) {
                       return Send(*c, context, client, n, timeout_ms);
                     }};
}

}  // namespace vedette::notify
