#include "server/notify/message.h"

#include <map>
#include <utility>

#include "common/base/strings.h"
#include "server/notify/slack_escape.h"
#include "server/template/alertmanager_functions.h"
#include "server/template/builtins.h"

namespace vedette::notify {
namespace {

using tmpl::List;
using tmpl::Map;
using tmpl::TypeInfo;
using tmpl::Value;

const TypeInfo kPair{"template.Pair", TypeInfo::Absent::kError, {}};

Result<Value> PairsColumn(const Value& pairs, const char* column) {
  List out;
  for (const Value& pair : pairs.list()) out.push_back(pair.map().find(column)->second);
  return Value(std::move(out));
}

const TypeInfo& PairsType() {
  static const TypeInfo kType{
      "template.Pairs",
      TypeInfo::Absent::kNoValue,
      {{"Names", [](const Value& self, auto) { return PairsColumn(self, "Name"); }},
       {"Values", [](const Value& self, auto) { return PairsColumn(self, "Value"); }}}};
  return kType;
}

// alertname first, then by name: the order of Alertmanager's messages.
Value SortedPairs(const Value& kv) {
  List out;
  auto add = [&](const std::string& name, const Value& value) {
    out.push_back(Value(Map{{"Name", Value(name)}, {"Value", value}}, &kPair));
  };
  if (auto it = kv.map().find("alertname"); it != kv.map().end()) add(it->first, it->second);
  for (const auto& [name, value] : kv.map()) {
    if (name != "alertname") add(name, value);
  }
  return Value(std::move(out), &PairsType());
}

Result<Value> RemoveNames(const Value& self, std::span<const Value> args) {
  if (args.size() != 1 || !args[0].is(Value::Kind::kList)) {
    return InvalidArgument("a list of names is needed");
  }
  Map left = self.map();
  for (const Value& name : args[0].list()) {
    if (name.is(Value::Kind::kString)) left.erase(name.string());
  }
  return Value(std::move(left), self.type());
}

const TypeInfo& KvType() {
  static const TypeInfo kType{
      "template.KV",
      TypeInfo::Absent::kEmptyString,
      {{"SortedPairs", [](const Value& self, auto) -> Result<Value> { return SortedPairs(self); }},
       {"Remove", RemoveNames},
       {"Names", [](const Value& self, auto) { return PairsColumn(SortedPairs(self), "Name"); }},
       {"Values",
        [](const Value& self, auto) { return PairsColumn(SortedPairs(self), "Value"); }}}};
  return kType;
}

Result<Value> AlertsWith(const Value& self, std::string_view status) {
  List out;
  for (const Value& alert : self.list()) {
    if (alert.map().find("Status")->second.string() == status) out.push_back(alert);
  }
  return Value(std::move(out), self.type());
}

const TypeInfo& AlertsType() {
  static const TypeInfo kType{
      "template.Alerts",
      TypeInfo::Absent::kNoValue,
      {{"Firing", [](const Value& self, auto) { return AlertsWith(self, "firing"); }},
       {"Resolved", [](const Value& self, auto) { return AlertsWith(self, "resolved"); }}}};
  return kType;
}

const TypeInfo kAlert{"template.Alert", TypeInfo::Absent::kError, {}};
const TypeInfo kEvidence{"template.Evidence", TypeInfo::Absent::kError, {}};
const TypeInfo kData{"*template.Data", TypeInfo::Absent::kError, {}};

std::string Escaped(std::string_view text, Escape escape) {
  switch (escape) {
    case Escape::kNone:
      return std::string(text);
    case Escape::kSlack:
      return EscapeSlack(text);
    case Escape::kHtml:
      return tmpl::HtmlEscape(text);
  }
  return std::string(text);
}

Value Kv(const Labels& labels, Escape escape) {
  Map map;
  for (const Label& l : labels) map.emplace(l.name, Value(Escaped(l.value, escape)));
  return Value(std::move(map), &KvType());
}

// Year 1, which is how Go writes a time that is not set.
constexpr int64_t kZeroTimeMs = -62135596800000;

Labels Common(std::span<const Alert> alerts, Labels Alert::* field) {
  if (alerts.empty()) return Labels();
  LabelsBuilder b(alerts[0].*field);
  for (const Alert& a : alerts.subspan(1)) {
    for (const Label& l : alerts[0].*field) {
      if ((a.*field).Get(l.name) != l.value) b.Delete(l.name);
    }
  }
  return b.Build();
}

size_t RuneStart(std::string_view text, size_t runes) {
  size_t i = 0;
  for (; i < text.size() && runes > 0; --runes) {
    ++i;
    while (i < text.size() && (static_cast<unsigned char>(text[i]) & 0xc0) == 0x80) ++i;
  }
  return i;
}

// .Evidence of an alert: AtFire, Worst, WorstAt, AtResolve, GraphURL; an alert that was posted from
// outside has none of it, and {{ with .Evidence.AtFire }} shows nothing.
Value Evidence(const Alert& alert, Escape escape) {
  if (!alert.evidence) {
    return Value(Map{{"AtFire", Value("")},
                     {"Worst", Value("")},
                     {"WorstAt", Value("")},
                     {"AtResolve", Value("")},
                     {"GraphURL", Value("")}},
                 &kEvidence);
  }
  const AlertEvidence& e = *alert.evidence;
  return Value(Map{{"AtFire", Value(e.at_fire)},
                   {"Worst", Value(e.worst)},
                   {"WorstAt", Value(tmpl::Time{.unix_ms = e.worst_at_ms})},
                   {"AtResolve", e.at_resolve ? Value(*e.at_resolve) : Value("")},
                   {"GraphURL", Value(Escaped(e.graph_url, escape))}},
               &kEvidence);
}

}  // namespace

Labels CommonLabels(std::span<const Alert> alerts) { return Common(alerts, &Alert::labels); }
Labels CommonAnnotations(std::span<const Alert> alerts) {
  return Common(alerts, &Alert::annotations);
}

Value MessageData(const Notification& n, const std::string& external_url, Escape escape) {
  List alerts;
  // What people wrote for people may hold Slack's links on purpose; HTML stays text.
  const Escape prose = escape == Escape::kHtml ? Escape::kHtml : Escape::kNone;
  for (const Alert& a : n.alerts) {
    alerts.push_back(
        Value(Map{{"Status", Value(a.resolved_at(n.now_ms) ? "resolved" : "firing")},
                  {"Labels", Kv(a.labels, escape)},
                  {"Annotations", Kv(a.annotations, prose)},
                  {"StartsAt", Value(tmpl::Time{.unix_ms = a.starts_at_ms})},
                  {"EndsAt",
                   Value(tmpl::Time{.unix_ms = a.ends_at_ms == 0 ? kZeroTimeMs : a.ends_at_ms})},
                  {"GeneratorURL", Value(Escaped(a.generator_url, prose))},
                  {"Fingerprint", Value(AlertFingerprintText(a.labels))},
                  {"Evidence", Evidence(a, prose)}},
              &kAlert));
  }
  return Value(Map{{"Receiver", Value(n.receiver)},
                   {"Status", Value(n.firing() ? "firing" : "resolved")},
                   {"Alerts", Value(std::move(alerts), &AlertsType())},
                   {"GroupLabels", Kv(n.group_labels, escape)},
                   {"CommonLabels", Kv(CommonLabels(n.alerts), escape)},
                   {"CommonAnnotations", Kv(CommonAnnotations(n.alerts), prose)},
                   {"RouteLabels", Kv(n.route_labels, escape)},
                   {"ExternalURL", Value(external_url)},
                   {"NotificationReason", Value(n.reason)}},
               &kData);
}

Result<std::shared_ptr<const MessageTemplates>> MessageTemplates::Make(
    std::span<const std::pair<std::string, std::string>> files, const Clock& clock,
    std::string external_url) {
  tmpl::Template base(tmpl::AlertmanagerFunctions(clock));
  VEDETTE_RETURN_IF_ERROR(tmpl::ParseDefaultTemplates(base));
  for (const auto& [name, text] : files) VEDETTE_RETURN_IF_ERROR(base.Parse(name, text));
  std::shared_ptr<MessageTemplates> made(new MessageTemplates(std::move(base)));
  while (external_url.ends_with('/')) external_url.pop_back();
  made->external_url_ = std::move(external_url);
  return std::shared_ptr<const MessageTemplates>(std::move(made));
}

Result<tmpl::Template> MessageTemplates::Prepare(std::string_view text) const {
  tmpl::Template t = base_;
  VEDETTE_RETURN_IF_ERROR(t.Parse("", text));
  return t;
}

Result<std::string> MessageTemplates::Expand(std::string_view text, const Value& data) const {
  if (text.find("{{") == text.npos) return std::string(text);
  VEDETTE_ASSIGN_OR_RETURN(tmpl::Template t, Prepare(text));
  return t.Execute("", data);
}

std::string Expander::operator()(std::string_view text) {
  Result<std::string> out = templates_.Expand(text, data_);
  if (out.ok()) return *std::move(out);
  if (status_.ok()) status_ = out.status();
  return "";
}

std::string TruncateRunes(std::string_view text, size_t runes) {
  if (RuneStart(text, runes) >= text.size()) return std::string(text);
  if (runes == 0) return "";
  return std::string(text.substr(0, RuneStart(text, runes - 1))) + "\xe2\x80\xa6";
}

std::string TruncateMarkup(const std::string& text, size_t runes) {
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

std::string TruncateBytes(std::string_view text, size_t bytes) {
  if (text.size() <= bytes) return std::string(text);
  if (bytes < 3) return std::string(bytes, '.');
  size_t end = bytes - 3;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "...";
}

}  // namespace vedette::notify
