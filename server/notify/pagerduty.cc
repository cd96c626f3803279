#include <algorithm>
#include <memory>
#include <utility>

#include <nlohmann/json.hpp>

#include "common/base/strings.h"
#include "server/notify/posting.h"
#include "server/notify/receiver.h"
#include "server/notify/template_tree.h"

namespace vedette::notify {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxSummaryRunes = 1024;   // Events API v2.
constexpr size_t kMaxEventBytes = 512'000;  // Likewise.
constexpr const char* kUrlV2 = "https://events.pagerduty.com/v2/enqueue";
constexpr const char* kUrlV1 = "https://events.pagerduty.com/generic/2010-04-15/create_event.json";

Result<Json> Payload(const config::PagerdutyConfig& c, const NotifyContext& context,
                     const Notification& n, const std::string& key) {
  Expander expand(*context.templates,
                  MessageData(n, context.templates->external_url(), Escape::kNone));
  Json event = {{"routing_key", key},
                {"event_action", n.firing() ? "trigger" : "resolve"},
                {"dedup_key", HashOfGroup(n.group_key)}};
  if (n.firing()) {
    const std::string client = expand(c.client);
    std::string source = expand(c.source);
    if (source.empty()) source = client;
    std::string summary = TruncateRunes(expand(c.description), kMaxSummaryRunes);
    if (summary.empty()) summary = "alert";  // The service refuses an empty one.
    Json payload = {{"summary", summary}, {"source", source}, {"severity", expand(c.severity)}};
    for (const auto& [name, text] :
         {std::pair("class", &c.event_class), std::pair("component", &c.component),
          std::pair("group", &c.group)}) {
      if (std::string value = expand(*text); !value.empty()) payload[name] = value;
    }
    Json details = Json::object();
    for (const auto& [name, tree] : c.details) {
      details[name] = Json::parse(ExpandTree(tree, expand), nullptr, false);
    }
    payload["custom_details"] = std::move(details);
    event["payload"] = std::move(payload);
    event["client"] = client;
    event["client_url"] = expand(c.client_url);
    for (const config::PagerdutyImage& i : c.images) {
      if (std::string src = expand(i.src); !src.empty()) {
        event["images"].push_back({{"src", src}, {"alt", expand(i.alt)}, {"href", expand(i.href)}});
      }
    }
    for (const config::PagerdutyLink& l : c.links) {
      if (std::string href = expand(l.href); !href.empty()) {
        event["links"].push_back({{"href", href}, {"text", expand(l.text)}});
      }
    }
  }
  VEDETTE_RETURN_IF_ERROR(expand.status());
  return event;
}

// The older Events API, for integrations that still have a service_key.
Result<Json> PayloadV1(const config::PagerdutyConfig& c, const NotifyContext& context,
                       const Notification& n, const std::string& key) {
  Expander expand(*context.templates,
                  MessageData(n, context.templates->external_url(), Escape::kNone));
  std::string description = TruncateRunes(expand(c.description), kMaxSummaryRunes);
  if (description.empty()) description = "alert";
  Json event = {{"service_key", key},
                {"incident_key", HashOfGroup(n.group_key)},
                {"event_type", n.firing() ? "trigger" : "resolve"},
                {"description", description}};
  Json details = Json::object();
  for (const auto& [name, tree] : c.details) {
    details[name] = Json::parse(ExpandTree(tree, expand), nullptr, false);
  }
  event["details"] = std::move(details);
  if (n.firing()) {
    event["client"] = expand(c.client);
    event["client_url"] = expand(c.client_url);
  }
  VEDETTE_RETURN_IF_ERROR(expand.status());
  return event;
}

SendOutcome Send(const config::PagerdutyConfig& c, const NotifyContext& context,
                 const HttpClient& client, const Notification& n, int64_t timeout_ms) {
  const bool v1 = c.routing_key.empty() && c.routing_key_file.empty();
  Result<std::string> key = v1 ? SecretOrFile(c.service_key, c.service_key_file)
                               : SecretOrFile(c.routing_key, c.routing_key_file);
  if (!key.ok()) return {key.status().Annotate("pagerduty"), true, 0};
  Result<Json> event = v1 ? PayloadV1(c, context, n, *key) : Payload(c, context, n, *key);
  if (!event.ok()) return {event.status().Annotate("pagerduty"), false, 0};
  std::string body = event->dump(-1, ' ', false, Json::error_handler_t::replace);
  if (body.size() > kMaxEventBytes) {
    Json& details = v1 ? (*event)["details"] : (*event)["payload"]["custom_details"];
    details = {{"error", StrCat("left out: the event was ", body.size(), " bytes, the limit is ",
                                kMaxEventBytes)}};
    body = event->dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  const HttpPost post{
      .url = v1 && c.url == kUrlV2 ? kUrlV1 : c.url,
      .headers = {{"Content-Type", "application/json"}},
      .body = std::move(body),
      .timeout_ms = c.timeout_ms > 0 ? std::min(c.timeout_ms, timeout_ms) : timeout_ms};
  return PostAndJudge(client, post, "pagerduty", context.clock->NowMs());
}

}  // namespace

Result<Integration> MakePagerduty(const config::PagerdutyConfig& config,
                                  const NotifyContext& context) {
  std::vector<std::string_view> texts = {config.client, config.client_url, config.description,
                                         config.source, config.severity,   config.event_class,
                                         config.group,  config.component};
  VEDETTE_RETURN_IF_ERROR(CheckTexts(*context.templates, texts));
  for (const auto& [name, tree] : config.details) {
    VEDETTE_RETURN_IF_ERROR(CheckTree(tree, *context.templates));
  }
  VEDETTE_ASSIGN_OR_RETURN(HttpClient client, context.http(config.http));
  auto c = std::make_shared<const config::PagerdutyConfig>(config);
  return Integration{.name = "pagerduty",
                     .send_resolved = config.send_resolved,
                     .send = [c, context, client](const Notification& n, int64_t timeout_ms) {
                       return Send(*c, context, client, n, timeout_ms);
                     }};
}

}  // namespace vedette::notify
