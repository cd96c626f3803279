// Receivers that page people: VictorOps, Pushover; and incident.io.
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/strings.h"
#include "server/notify/posting.h"
#include "server/notify/receiver.h"
#include "server/notify/webhook_message.h"

namespace vedette::notify {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxVictoropsRunes = 20'480;
constexpr size_t kMaxPushoverTitleRunes = 250;
constexpr size_t kMaxPushoverMessageRunes = 1024;
constexpr size_t kMaxPushoverUrlRunes = 512;
constexpr size_t kMaxPushoverUrlTitleRunes = 100;
constexpr size_t kMaxIncidentBytes = 512 << 10;
constexpr const char* kPushoverUrl = "https://api.pushover.net/1/messages.json";

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<HttpPost> VictoropsPost(const config::VictoropsConfig& c, const Notification& n,
                               Expander& expand) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string key, SecretOrFile(c.api_key, c.api_key_file));
  Json body = {{"message_type", n.firing() ? expand(c.message_type) : "RECOVERY"},
               {"entity_id", HashOfGroup(n.group_key)},
               {"entity_display_name", expand(c.entity_display_name)},
               {"monitoring_tool", expand(c.monitoring_tool)},
               {"state_message", TruncateRunes(expand(c.state_message), kMaxVictoropsRunes)}};
  for (const auto& [name, text] : c.custom_fields) body[name] = expand(text);
  const std::string base = c.api_url.ends_with('/') ? c.api_url : c.api_url + "/";
  return HttpPost{.url = StrCat(base, key, "/", PercentEncode(expand(c.routing_key))),
                  .headers = {{"Content-Type", "application/json"}},
                  .body = Dump(body)};
}

Result<HttpPost> PushoverPost(const config::PushoverConfig& c, const Notification& n,
                              Expander& expand) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string token, SecretOrFile(c.token, c.token_file));
  VEDETTE_ASSIGN_OR_RETURN(const std::string user, SecretOrFile(c.user_key, c.user_key_file));
  std::string message = TruncateRunes(expand(c.message), kMaxPushoverMessageRunes);
  if (Trim(message).empty()) message = "(no details)";  // The service refuses an empty one.
  std::vector<std::pair<std::string, std::string>> form = {
      {"token", token},
      {"user", user},
      {"title", TruncateRunes(expand(c.title), kMaxPushoverTitleRunes)},
      {"message", message},
      {"url", TruncateRunes(expand(c.url), kMaxPushoverUrlRunes)},
      {"url_title", TruncateRunes(expand(c.url_title), kMaxPushoverUrlTitleRunes)},
      {"priority", expand(c.priority)},
      {"retry", StrCat(c.retry_ms / 1000)},
      {"expire", StrCat(c.expire_ms / 1000)}};
  if (c.ttl_ms > 0) form.emplace_back("ttl", StrCat(c.ttl_ms / 1000));
  if (c.html) form.emplace_back("html", "1");
  if (c.monospace) form.emplace_back("monospace", "1");
  form.emplace_back("device", expand(c.device));
  form.emplace_back("sound", expand(c.sound));
  form.emplace_back("timestamp", StrCat(n.now_ms / 1000));
  std::erase_if(form, [](const auto& field) { return field.second.empty(); });
  return HttpPost{.url = kPushoverUrl,
                  .headers = {{"Content-Type", "application/x-www-form-urlencoded"}},
                  .body = FormBody(form)};
}

Result<HttpPost> IncidentPost(const config::IncidentioConfig& c, const std::string& external_url,
                              const Notification& n) {
  HttpPost post{.url = c.url, .headers = {{"Content-Type", "application/json"}}};
  if (!c.url_file.empty()) {
    VEDETTE_ASSIGN_OR_RETURN(post.url, SecretOrFile({}, c.url_file));
  }
  if (!c.alert_source_token.empty() || !c.alert_source_token_file.empty()) {
    VEDETTE_ASSIGN_OR_RETURN(const std::string token,
                             SecretOrFile(c.alert_source_token, c.alert_source_token_file));
    post.headers.emplace_back("Authorization", "Bearer " + token);
  }
  // What does not fit is halved until it does; the count of what was left out goes along.
  uint64_t alerts = c.max_alerts == 0 ? n.alerts.size() : c.max_alerts;
  do {
    post.body = WebhookMessage(n, external_url, alerts, "1");
    alerts /= 2;
  } while (post.body.size() > kMaxIncidentBytes && alerts > 0);
  return post;
}

}  // namespace

Result<Integration> MakeVictorops(const config::VictoropsConfig& config,
                                  const NotifyContext& context) {
  std::vector<std::string_view> texts = {config.message_type, config.state_message,
                                         config.entity_display_name, config.monitoring_tool,
                                         config.routing_key};
  for (const auto& [name, text] : config.custom_fields) texts.push_back(text);
  return MakePosting(config, context,
                     {.name = "victorops",
                      .texts = texts,
                      .compose = [c = config](const Notification& n, Expander& expand) {
                        return VictoropsPost(c, n, expand);
                      }});
}

Result<Integration> MakePushover(const config::PushoverConfig& config,
                                 const NotifyContext& context) {
  return MakePosting(config, context,
                     {.name = "pushover",
                      .escape = config.html ? Escape::kHtml : Escape::kNone,
                      .texts = {config.title, config.message, config.url, config.url_title,
                                config.device, config.sound, config.priority},
                      .compose = [c = config](const Notification& n, Expander& expand) {
                        return PushoverPost(c, n, expand);
                      }});
}

Result<Integration> MakeIncidentio(const config::IncidentioConfig& config,
                                   const NotifyContext& context) {
  return MakePosting(
      config, context,
      {.name = "incidentio",
       .compose = [c = config, url = context.templates->external_url()](
                      const Notification& n, Expander&) { return IncidentPost(c, url, n); }});
}

}  // namespace vedette::notify
