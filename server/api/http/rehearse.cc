#include "server/api/http/rehearse.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/strings.h"
#include "server/api/http/params.h"

namespace vedette::api {
namespace {

using Json = nlohmann::json;

constexpr int64_t kDayMs = 86'400'000;
constexpr int64_t kMaxSpanMs = 92 * kDayMs;

Status AddRules(const std::string& file, const Json& text,
                std::vector<config::RuleGroupConfig>& out) {
  if (!text.is_string()) return InvalidArgument("rules: the text of a rule file is expected");
  VEDETTE_ASSIGN_OR_RETURN(config::RuleFileConfig rules,
                           config::ParseRuleFile(text.get_ref<const std::string&>(), file));
  for (config::RuleGroupConfig& g : rules.groups) out.push_back(std::move(g));
  return {};
}

// Template files are the server's: an unknown person may not have any file of this host read.
Status ReadSide(const Json& json, RehearsalAsk& ask) {
  if (const auto rules = json.find("rules"); rules != json.end() && !rules->is_null()) {
    ask.groups.clear();
    if (rules->is_object()) {
      for (const auto& [file, text] : rules->items()) {
        VEDETTE_RETURN_IF_ERROR(AddRules(file, text, ask.groups));
      }
    } else {
      VEDETTE_RETURN_IF_ERROR(AddRules("rules", *rules, ask.groups));
    }
  }
  const auto alertmanager = json.find("alertmanager");
  if (alertmanager == json.end() || alertmanager->is_null()) return {};
  if (!alertmanager->is_string()) return InvalidArgument("alertmanager: a text is expected");
  const std::vector<std::string> ours = ask.alertmanager.template_files;
  VEDETTE_ASSIGN_OR_RETURN(
      ask.alertmanager,
      config::ParseAlertmanagerConfig(alertmanager->get_ref<const std::string&>(), "alertmanager"));
  ask.alertmanager.template_files = ours;
  return {};
}

Status ReadTime(const Json& json, const char* key, int64_t& out_ms) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return {};
  const std::string text = found->is_string() ? found->get<std::string>() : found->dump();
  const Result<int64_t> t = ParseTime(text);
  if (!t.ok()) return t.status().Annotate(key);
  out_ms = *t;
  return {};
}

}  // namespace

Result<RehearsalQuestion> RehearseDoor::Read(const Call& call) const {
  const Json json = Json::parse(call.body, nullptr, false);
  if (!json.is_object()) return InvalidArgument("the body must be a JSON object");
  RehearsalQuestion q;
  q.to_ms = clock_.NowMs();
  q.from_ms = q.to_ms - kDayMs;
  VEDETTE_RETURN_IF_ERROR(ReadTime(json, "to", q.to_ms));
  VEDETTE_RETURN_IF_ERROR(ReadTime(json, "from", q.from_ms));
  if (q.to_ms <= q.from_ms) return InvalidArgument("from must be before to");
  if (q.to_ms - q.from_ms > kMaxSpanMs) return InvalidArgument("at most 92 days at once");
  q.ask = {.groups = b_.groups(), .alertmanager = b_.alertmanager()};
  VEDETTE_RETURN_IF_ERROR(ReadSide(json, q.ask));
  if (json.contains("silences") && json["silences"].is_boolean()) q.silences = json["silences"];
  if (const auto other = json.find("compare"); other != json.end() && other->is_object()) {
    q.compare = true;
    q.other = {.groups = b_.groups(), .alertmanager = b_.alertmanager()};
    VEDETTE_RETURN_IF_ERROR(ReadSide(*other, q.other).Annotate("compare"));
  }
  return q;
}

Reply RehearseDoor::Rehearse(const Call& call) const {
  const Result<RehearsalQuestion> question = Read(call);
  if (!question.ok()) return Failure(question.status());
  const Result<std::string> data = b_.run(*question, call.cancel);
  if (!data.ok()) return Failure(data.status());
  return Success([&](JsonWriter& json) { json.Raw(*data); });
}

}  // namespace vedette::api
