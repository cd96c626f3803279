#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/strings.h"
#include "server/notify/posting.h"
#include "server/notify/receiver.h"
#include "server/notify/template_tree.h"

namespace vedette::notify {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxSummaryRunes = 255;
constexpr size_t kMaxDescriptionRunes = 32'767;

// One group is one issue, found again by a label that is made of the group's key: a new group opens
// one, news change it, the end resolves it and a relapse opens it again.
class Jira {
 public:
  Jira(config::JiraConfig config, NotifyContext context, HttpClient client)
      : c_(std::move(config)), context_(std::move(context)), client_(std::move(client)) {
    base_ = c_.api_url;
    while (base_.ends_with('/')) base_.pop_back();
    cloud_ = c_.api_type == "cloud" ||
             (c_.api_type == "auto" && base_.find(".atlassian.net") != std::string::npos);
  }

  SendOutcome Send(const Notification& n, int64_t left_ms) const {
    Expander expand(*context_.templates,
                    MessageData(n, context_.templates->external_url(), Escape::kNone));
    const std::string label = StrCat("ALERT{", HashOfGroup(n.group_key), "}");
    const std::string project = expand(c_.project);
    Json fields = Fields(label, project, expand);
    if (!expand.status().ok()) return {expand.status().Annotate("jira"), false, 0};

    Json found;
    if (SendOutcome s = Find(label, project, n.firing(), left_ms, found); !s.status.ok()) return s;
    if (found.is_null()) {
      if (!n.firing()) return {};  // Nobody knows about it, and it is over.
      return Call("POST", "/issue", {{"fields", std::move(fields)}}, left_ms, nullptr);
    }
    const std::string key = found.value("key", "");
    for (const char* fixed : {"project", "issuetype", "labels"}) fields.erase(fixed);
    if (!c_.summary_enable_update) fields.erase("summary");
    if (!c_.description_enable_update) fields.erase("description");
    SendOutcome changed =
        Call("PUT", "/issue/" + key, {{"fields", std::move(fields)}}, left_ms, nullptr);
    if (!changed.status.ok()) return changed;
    const bool done = found.value("/fields/status/statusCategory/key"_json_pointer, "") == "done";
    if (n.firing() && done && !c_.reopen_transition.empty()) {
      return Transition(key, c_.reopen_transition, left_ms);
    }
    if (!n.firing() && !done && !c_.resolve_transition.empty()) {
      return Transition(key, c_.resolve_transition, left_ms);
    }
    return {};
  }

 private:
  // API 3 wants rich text as a tree, API 2 as text.
  Json Description(const std::string& text) const {
    if (!base_.ends_with("/3")) return text;
    Json paragraph = {{"type", "paragraph"}};
    paragraph["content"] = Json::array({{{"type", "text"}, {"text", text}}});
    Json document = {{"type", "doc"}, {"version", 1}};
    document["content"] = Json::array({std::move(paragraph)});
    return document;
  }

  Json Fields(const std::string& label, const std::string& project, Expander& expand) const {
    Json fields;
    fields["project"] = {{"key", project}};
    fields["issuetype"] = {{"name", expand(c_.issue_type)}};
    fields["summary"] = TruncateRunes(expand(c_.summary), kMaxSummaryRunes);
    if (std::string text = TruncateRunes(expand(c_.description), kMaxDescriptionRunes);
        !text.empty()) {
      fields["description"] = Description(text);
    }
    fields["labels"] = Json::array();
    for (const std::string& text : c_.labels) {
      if (std::string one = expand(text); !one.empty()) fields["labels"].push_back(one);
    }
    fields["labels"].push_back(label);
    if (std::string priority = expand(c_.priority); !priority.empty()) {
      fields["priority"] = {{"name", priority}};
    }
    for (const auto& [name, tree] : c_.fields) {
      fields[name] = Json::parse(ExpandTree(tree, expand), nullptr, false);
    }
    return fields;
  }

  SendOutcome Find(const std::string& label, const std::string& project, bool firing,
                   int64_t left_ms, Json& found) const {
    std::string jql;
    if (!c_.wont_fix_resolution.empty()) {
      StrAppend(jql, "resolution != ", Quoted(c_.wont_fix_resolution), " and ");
    }
    if (c_.reopen_transition.empty()) {
      jql += "statusCategory != Done and ";
    } else if (firing && c_.reopen_duration_ms > 0) {
      StrAppend(jql, "(resolutiondate is EMPTY OR resolutiondate >= -",
                std::max<int64_t>(c_.reopen_duration_ms / 60'000, 1), "m) and ");
    }
    StrAppend(jql, "project=", Quoted(project), " and labels=", Quoted(label),
              " order by status ASC,resolutiondate DESC");
    Json search = {{"jql", jql}, {"maxResults", 2}};
    search["fields"] = Json::array({"status"});
    HttpReply reply;
    SendOutcome outcome = Call("POST", cloud_ ? "/search/jql" : "/search", search, left_ms, &reply);
    if (!outcome.status.ok()) return outcome;
    const Json json = Json::parse(reply.body, nullptr, false);
    if (!json.is_object() || !json.contains("issues") || !json["issues"].is_array()) {
      return {InvalidArgument("jira: the search answered no list of issues"), false, 0};
    }
    found = json["issues"].empty() || !json["issues"][0].is_object() ? Json() : json["issues"][0];
    return {};
  }

  SendOutcome Transition(const std::string& key, const std::string& name, int64_t left_ms) const {
    HttpReply reply;
    SendOutcome listed =
        Call("GET", StrCat("/issue/", key, "/transitions"), Json(), left_ms, &reply);
    if (!listed.status.ok()) return listed;
    const Json json = Json::parse(reply.body, nullptr, false);
    if (json.is_object() && json.contains("transitions") && json["transitions"].is_array()) {
      for (const Json& t : json["transitions"]) {
        if (!t.is_object() || t.value("name", "") != name || !t.contains("id")) continue;
        return Call("POST", StrCat("/issue/", key, "/transitions"),
                    {{"transition", {{"id", t["id"]}}}}, left_ms, nullptr);
      }
    }
    return {InvalidArgument(StrCat("jira: issue ", key, " has no transition ", Quoted(name))),
            false, 0};
  }

  SendOutcome Call(const char* method, const std::string& path, const Json& body, int64_t left_ms,
                   HttpReply* reply) const {
    const HttpPost post{
        .method = method,
        .url = base_ + path,
        .headers = {{"Content-Type", "application/json"}, {"Accept", "application/json"}},
        .body = body.is_null() ? "" : body.dump(-1, ' ', false, Json::error_handler_t::replace),
        .timeout_ms = TimeoutOf(c_, left_ms)};
    return PostAndJudge(client_, post, "jira", context_.clock->NowMs(), reply);
  }

  const config::JiraConfig c_;
  const NotifyContext context_;
  const HttpClient client_;
  std::string base_;
  bool cloud_ = false;
};

}  // namespace

Result<Integration> MakeJira(const config::JiraConfig& config, const NotifyContext& context) {
  std::vector<std::string_view> texts = {config.project, config.summary, config.description,
                                         config.priority, config.issue_type};
  for (const std::string& label : config.labels) texts.push_back(label);
  VEDETTE_RETURN_IF_ERROR(CheckTexts(*context.templates, texts));
  for (const auto& [name, tree] : config.fields) {
    VEDETTE_RETURN_IF_ERROR(CheckTree(tree, *context.templates));
  }
  VEDETTE_ASSIGN_OR_RETURN(HttpClient client, context.http(config.http));
  auto jira = std::make_shared<const Jira>(config, context, client);
  return Integration{
      .name = "jira",
      .send_resolved = config.send_resolved,
      .send = [jira](const Notification& n, int64_t left_ms) { return jira->Send(n, left_ms); }};
}

}  // namespace vedette::notify
