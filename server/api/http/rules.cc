#include "server/api/http/rules.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "common/base/strings.h"

namespace vedette::api {
namespace {

// Alerts' values are written in the scientific form: 7e+00.
std::string ScientificFloat(double v) {
  std::string text;
  AppendFloat(text, v);
  if (text == "NaN" || text.ends_with("Inf")) return text;
  char buffer[40];
  const auto [end, error] =
      std::to_chars(buffer, buffer + sizeof buffer, v, std::chars_format::scientific);
  return {buffer, end};
}

std::string TimeOrZero(int64_t t_ms) {
  return t_ms == 0 ? "0001-01-01T00:00:00Z" : FormatTime(t_ms);
}

void WriteAlert(JsonWriter& json, const ruler::ActiveAlert& a) {
  json.BeginObject();
  json.Key("labels").Object(a.labels);
  json.Key("annotations").Object(a.annotations);
  json.Key("state").String(ruler::AlertStateName(a.state));
  json.Key("activeAt").String(FormatTime(a.active_at_ms));
  if (a.keep_firing_since_ms != 0) {
    json.Key("keepFiringSince").String(FormatTime(a.keep_firing_since_ms));
  }
  json.Key("value").String(ScientificFloat(a.value));
  json.EndObject();
}

void WriteRule(JsonWriter& json, const ruler::RuleStatus& r, bool with_alerts) {
  json.BeginObject();
  if (r.alerting) {
    json.Key("state").String(ruler::AlertStateName(r.state));
    json.Key("name").String(r.name);
    json.Key("query").String(r.query);
    json.Key("duration").Number(static_cast<double>(r.for_ms) / 1000);
    json.Key("keepFiringFor").Number(static_cast<double>(r.keep_firing_for_ms) / 1000);
    json.Key("labels").Object(r.labels);
    json.Key("annotations").Object(r.annotations);
    json.Key("alerts").BeginArray();
    if (with_alerts) {
      for (const ruler::ActiveAlert& a : r.alerts) WriteAlert(json, a);
    }
    json.EndArray();
  } else {
    json.Key("name").String(r.name);
    json.Key("query").String(r.query);
    json.Key("labels").Object(r.labels);
  }
  json.Key("health").String(ruler::RuleHealthName(r.health));
  if (!r.last_error.empty()) json.Key("lastError").String(r.last_error);
  json.Key("evaluationTime").Number(r.evaluation_seconds);
  json.Key("lastEvaluation").String(TimeOrZero(r.last_evaluation_ms));
  json.Key("type").String(r.alerting ? "alerting" : "recording");
  json.EndObject();
}

bool Among(const std::vector<std::string_view>& wanted, std::string_view name) {
  return wanted.empty() || std::ranges::find(wanted, name) != wanted.end();
}

// Names the group at which the next page starts.
std::string TokenOf(const ruler::RuleGroupStatus& g) {
  return StrCat(Labels::Of({{"file", g.file}, {"name", g.name}}).Hash());
}

}  // namespace

Reply RulesDoor::Rules(const Call& call) const {
  const std::string_view type = call.Get("type").value_or("");
  if (!type.empty() && type != "alert" && type != "record") {
    return BadParameter("type", StrCat("not supported value ", Quoted(type)));
  }
  bool with_alerts = true;
  if (const auto text = call.Get("exclude_alerts"); text && !text->empty()) {
    if (*text != "true" && *text != "false" && *text != "1" && *text != "0") {
      return BadParameter(
          "exclude_alerts",
          StrCat("error converting exclude_alerts: ", Quoted(*text), " is neither true nor false"));
    }
    with_alerts = *text == "false" || *text == "0";
  }
  std::vector<std::vector<Matcher>> selectors;
  for (const std::string_view text : call.All("match[]")) {
    Result<std::vector<Matcher>> matchers = b_.parse(text);
    if (!matchers.ok()) return BadParameter("match[]", matchers.status());
    selectors.push_back(*std::move(matchers));
  }
  uint64_t page = 0;
  if (const auto text = call.Get("group_limit"); text && !text->empty()) {
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), page);
    if (error != std::errc() || end != text->data() + text->size() || page == 0) {
      return BadParameter("group_limit", "group_limit must be a number above 0");
    }
  }
  const auto names = call.All("rule_name[]");
  const auto group_names = call.All("rule_group[]");
  const auto files = call.All("file[]");

  std::vector<ruler::RuleGroupStatus> groups = b_.groups();
  std::erase_if(groups, [&](ruler::RuleGroupStatus& g) {
    if (!Among(group_names, g.name) || !Among(files, g.file)) return true;
    std::erase_if(g.rules, [&](const ruler::RuleStatus& r) {
      if (!type.empty() && r.alerting != (type == "alert")) return true;
      if (!Among(names, r.name)) return true;
      return !selectors.empty() && std::ranges::none_of(selectors, [&](const auto& matchers) {
        return std::ranges::all_of(
            matchers, [&](const Matcher& m) { return m.Matches(r.labels.Get(m.name())); });
      });
    });
    return g.rules.empty();
  });

  size_t first = 0;
  if (const auto token = call.Get("group_next_token"); token && !token->empty()) {
    if (page == 0) {
      return BadParameter("group_limit",
                          "group_limit needs to be set in order to paginate over the groups");
    }
    while (first < groups.size() && TokenOf(groups[first]) != *token) ++first;
    if (first == groups.size()) {
      return BadParameter(
          "group_next_token",
          "no group has this token: the rules may have changed; start again without "
          "group_next_token");
    }
  }
  const size_t end = page == 0 ? groups.size() : std::min(groups.size(), first + page);
  return Success([&](JsonWriter& json) {
    json.BeginObject().Key("groups").BeginArray();
    for (size_t i = first; i < end; ++i) {
      const ruler::RuleGroupStatus& g = groups[i];
      json.BeginObject();
      json.Key("name").String(g.name);
      json.Key("file").String(g.file);
      json.Key("rules").BeginArray();
      for (const ruler::RuleStatus& r : g.rules) WriteRule(json, r, with_alerts);
      json.EndArray();
      json.Key("interval").Number(static_cast<double>(g.interval_ms) / 1000);
      json.Key("limit").Int(g.limit);
      json.Key("evaluationTime").Number(g.evaluation_seconds);
      json.Key("lastEvaluation").String(TimeOrZero(g.last_evaluation_ms));
      json.EndObject();
    }
    json.EndArray();
    if (end < groups.size()) json.Key("groupNextToken").String(TokenOf(groups[end]));
    json.EndObject();
  });
}

Reply RulesDoor::Alerts(const Call&) const {
  const std::vector<ruler::RuleGroupStatus> groups = b_.groups();
  return Success([&](JsonWriter& json) {
    json.BeginObject().Key("alerts").BeginArray();
    for (const ruler::RuleGroupStatus& g : groups) {
      for (const ruler::RuleStatus& r : g.rules) {
        for (const ruler::ActiveAlert& a : r.alerts) WriteAlert(json, a);
      }
    }
    json.EndArray().EndObject();
  });
}

Reply RulesDoor::Alertmanagers(const Call&) const {
  const AlertmanagerUrls urls = b_.alertmanagers();
  const auto write = [](JsonWriter& json, std::string_view key,
                        const std::vector<std::string>& list) {
    json.Key(key).BeginArray();
    for (const std::string& url : list) {
      json.BeginObject().Key("url").String(url).EndObject();
    }
    json.EndArray();
  };
  return Success([&](JsonWriter& json) {
    json.BeginObject();
    write(json, "activeAlertmanagers", urls.active);
    write(json, "droppedAlertmanagers", urls.dropped);
    json.EndObject();
  });
}

}  // namespace vedette::api
