#include <nlohmann/json.hpp>
#include <utility>

#include "server/notify/posting.h"
#include "server/notify/receiver.h"

namespace vedette::notify {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxTeamsBytes = 28 << 10;  // A whole message, by Microsoft's documents.
constexpr size_t kRoomForTheRest = 2 << 10;  // Braces, and quotes that escaping makes longer.

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Cuts `text` until the whole body is within the service's limit.
template <typename Build>
std::string Fitting(const std::string& text, Build build) {
  std::string body = Dump(build(text));
  for (size_t room = kMaxTeamsBytes - kRoomForTheRest; body.size() > kMaxTeamsBytes && room > 16;
       room = room * 3 / 4) {
    body = Dump(build(TruncateBytes(text, room)));
  }
  return body;
}

Result<HttpPost> CardPost(const config::MsteamsConfig& c, const Notification& n, Expander& expand) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string url, SecretOrFile(c.webhook_url, c.webhook_url_file));
  const std::string title = TruncateRunes(expand(c.title), 1024);
  const std::string summary = TruncateRunes(expand(c.summary), 1024);
  const auto build = [&](const std::string& text) {
    return Json{{"@context", "http://schema.org/extensions"},
                {"type", "MessageCard"},
                {"title", title},
                {"summary", summary},
                {"text", text},
                {"themeColor", n.firing() ? "8C1A1A" : "2DC72D"}};
  };
  return HttpPost{.url = url,
                  .headers = {{"Content-Type", "application/json"}},
                  .body = Fitting(expand(c.text), build)};
}

Result<HttpPost> AdaptivePost(const config::MsteamsV2Config& c, const Notification& n,
                              Expander& expand) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string url, SecretOrFile(c.webhook_url, c.webhook_url_file));
  const std::string title = TruncateRunes(expand(c.title), 1024);
  const auto build = [&](const std::string& text) {
    Json heading = {{"type", "TextBlock"},
                    {"text", title},
                    {"weight", "Bolder"},
                    {"size", "Medium"},
                    {"wrap", true},
                    {"style", "heading"},
                    {"color", n.firing() ? "Attention" : "Good"}};
    Json content = {{"$schema", "http://adaptivecards.io/schemas/adaptive-card.json"},
                    {"type", "AdaptiveCard"},
                    {"version", "1.4"}};
    content["body"] = Json::array(
        {std::move(heading), Json{{"type", "TextBlock"}, {"text", text}, {"wrap", true}}});
    content["msteams"] = {{"width", "full"}};
    Json attachment = {{"contentType", "application/vnd.microsoft.card.adaptive"},
                       {"contentUrl", nullptr}};
    attachment["content"] = std::move(content);
    Json body = {{"type", "message"}};
    body["attachments"] = Json::array({std::move(attachment)});
    return body;
  };
  return HttpPost{.url = url,
                  .headers = {{"Content-Type", "application/json"}},
                  .body = Fitting(expand(c.text), build)};
}

// The old connector answers 200 whatever happens, and says in words that it was throttled.
SendOutcome JudgeConnector(const HttpReply& reply) {
  if (reply.body.find("HTTP error 429") != std::string::npos) {
    return {ResourceExhausted("msteams: throttled"), true, 0};
  }
  if (reply.body.find("failed with error") != std::string::npos) {
    return {Unavailable("msteams: " + reply.body.substr(0, 256)), true, 0};
  }
  return {};
}

}  // namespace

Result<Integration> MakeMsteams(const config::MsteamsConfig& config, const NotifyContext& context) {
  return MakePosting(config, context,
                     {.name = "msteams",
                      .texts = {config.title, config.summary, config.text},
                      .compose = [c = config](const Notification& n,
                                              Expander& expand) { return CardPost(c, n, expand); },
                      .judge = JudgeConnector});
}

Result<Integration> MakeMsteamsV2(const config::MsteamsV2Config& config,
                                  const NotifyContext& context) {
  return MakePosting(config, context,
                     {.name = "msteamsv2",
                      .texts = {config.title, config.text},
                      .compose = [c = config](const Notification& n, Expander& expand) {
                        return AdaptivePost(c, n, expand);
                      }});
}

}  // namespace vedette::notify
