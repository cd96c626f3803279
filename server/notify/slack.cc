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

// Cuts between characters, and not inside an entity or a <link>.
std::string CutMarkup(const std::string& text, size_t runes) {
  std::string cut = TruncateRunes(text, runes);
  if (cut.size() == text.size()) return cut;
  constexpr size_t kEllipsisBytes = 3;
  std::string body = cut.substr(0, cut.size() - kEllipsisBytes);
  const size_t open = body.rfind('<');
  if (open != body.npos && body.find('>', open) == body.npos) body.resize(open);
  const size_t entity = body.rfind('&');
  if (entity != body.npos && body.find(';', entity) == body.npos) body.resize(entity);
  return body + "\xe2\x80\xa6";
}

void SetIfAny(Json& object, const char* key, std::string value) {
  if (!value.empty()) object[key] = std::move(value);
}

Json Fields(const config::SlackConfig& c, Expander& expand) {
  Json out = Json::array();
  for (const config::SlackField& f : c.fields) {
    if (out.size() == kMaxFields) break;
    Json field = {{"title", CutMarkup(EscapeSlackText(expand(f.title)), kMaxFieldRunes)},
                  {"value", CutMarkup(EscapeSlackText(expand(f.value)), kMaxFieldRunes)},
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
    return CutMarkup(EscapeSlackText(expand(t)), runes);
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
  if (bot) {
    post.url = c.app_url;
    post.headers.emplace_back("Authorization", "Bearer " + *secret);
  } else {
    post.url = *secret;
  }
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
