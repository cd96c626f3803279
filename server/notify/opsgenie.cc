#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/strings.h"
#include "server/notify/posting.h"
#include "server/notify/receiver.h"

namespace vedette::notify {
namespace {

using Json = nlohmann::ordered_json;

// Opsgenie's own limits, in characters.
constexpr size_t kMaxMessageRunes = 130;
constexpr size_t kMaxDescriptionRunes = 15'000;
constexpr size_t kMaxNoteRunes = 25'000;

void SetIfAny(Json& object, const char* key, std::string value) {
  if (!value.empty()) object[key] = std::move(value);
}

Json Responders(const config::OpsgenieConfig& c, Expander& expand) {
  Json out = Json::array();
  for (const config::OpsgenieResponder& r : c.responders) {
    const std::string type = expand(r.type), name = expand(r.name);
    if (type == "teams") {  // One entry that names several.
      for (const std::string& team : SplitTrimmed(name, ',')) {
        out.push_back({{"name", team}, {"type", "team"}});
      }
      continue;
    }
    Json one;
    SetIfAny(one, "id", expand(r.id));
    SetIfAny(one, "name", name);
    SetIfAny(one, "username", expand(r.username));
    one["type"] = type;
    out.push_back(std::move(one));
  }
  return out;
}

struct Request {
  std::string method, path;
  Json body;
};

std::vector<Request> Requests(const config::OpsgenieConfig& c, const Notification& n,
                              Expander& expand) {
  const std::string alias = HashOfGroup(n.group_key);
  const std::string source = expand(c.source);
  if (!n.firing()) {
    Json close;
    SetIfAny(close, "source", source);
    SetIfAny(close, "note", TruncateRunes(expand(c.note), kMaxNoteRunes));
    return {{"POST", StrCat("v2/alerts/", alias, "/close?identifierType=alias"), close}};
  }
  std::string message = TruncateRunes(expand(c.message), kMaxMessageRunes);
  if (message.empty()) message = "alert";  // The service refuses an empty one.
  const std::string description = TruncateRunes(expand(c.description), kMaxDescriptionRunes);
  Json details = Json::object();
  for (const Label& l : CommonLabels(n.alerts)) details[std::string(l.name)] = l.value;
  for (const auto& [name, text] : c.details) details[name] = expand(text);
  Json create = {{"alias", alias}, {"message", message}, {"description", description}};
  create["details"] = std::move(details);
  SetIfAny(create, "source", source);
  if (Json responders = Responders(c, expand); !responders.empty()) {
    create["responders"] = std::move(responders);
  }
  if (const auto tags = SplitTrimmed(expand(c.tags), ','); !tags.empty()) create["tags"] = tags;
  SetIfAny(create, "note", TruncateRunes(expand(c.note), kMaxNoteRunes));
  SetIfAny(create, "priority", expand(c.priority));
  SetIfAny(create, "entity", expand(c.entity));
  if (const auto actions = SplitTrimmed(expand(c.actions), ','); !actions.empty()) {
    create["actions"] = actions;
  }
  std::vector<Request> out = {{"POST", "v2/alerts", std::move(create)}};
  if (c.update_alerts) {
    // An open alert keeps its first texts unless they are set by calls of their own.
    out.push_back({"PUT",
                   StrCat("v2/alerts/", alias, "/message?identifierType=alias"),
                   {{"message", message}}});
    out.push_back({"PUT",
                   StrCat("v2/alerts/", alias, "/description?identifierType=alias"),
                   {{"description", description}}});
  }
  return out;
}

SendOutcome Send(const config::OpsgenieConfig& c, const NotifyContext& context,
                 const HttpClient& client, const Notification& n, int64_t left_ms) {
  Expander expand(*context.templates,
                  MessageData(n, context.templates->external_url(), Escape::kNone));
  Result<std::string> key = SecretOrFile(c.api_key, c.api_key_file);
  if (!key.ok()) return {key.status().Annotate("opsgenie"), true, 0};
  const std::string authorization = "GenieKey " + expand(*key);
  const std::vector<Request> requests = Requests(c, n, expand);
  if (!expand.status().ok()) return {expand.status().Annotate("opsgenie"), false, 0};
  const std::string base = c.api_url.ends_with('/') ? c.api_url : c.api_url + "/";
  for (const Request& r : requests) {
    const HttpPost post{
        .method = r.method,
        .url = base + r.path,
        .headers = {{"Content-Type", "application/json"}, {"Authorization", authorization}},
        .body = r.body.dump(-1, ' ', false, Json::error_handler_t::replace),
        .timeout_ms = TimeoutOf(c, left_ms)};
    SendOutcome outcome = PostAndJudge(client, post, "opsgenie", context.clock->NowMs());
    if (!outcome.status.ok()) return outcome;
  }
  return {};
}

}  // namespace

Result<Integration> MakeOpsgenie(const config::OpsgenieConfig& config,
                                 const NotifyContext& context) {
  std::vector<std::string_view> texts = {config.message,  config.description, config.source,
                                         config.entity,   config.tags,        config.note,
                                         config.priority, config.actions};
  for (const auto& [name, text] : config.details) texts.push_back(text);
  for (const auto& r : config.responders) {
    texts.insert(texts.end(), {r.id, r.name, r.username, r.type});
  }
  VEDETTE_RETURN_IF_ERROR(CheckTexts(*context.templates, texts));
  VEDETTE_ASSIGN_OR_RETURN(HttpClient client, context.http(config.http));
  auto c = std::make_shared<const config::OpsgenieConfig>(config);
  return Integration{.name = "opsgenie",
                     .send_resolved = config.send_resolved,
                     .send = [c, context, client](const Notification& n, int64_t left_ms) {
                       return Send(*c, context, client, n, left_ms);
                     }};
}

}  // namespace vedette::notify
