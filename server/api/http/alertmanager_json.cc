#include "server/api/http/alertmanager_json.h"

#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/strings.h"
#include "common/config/alertmanager.h"
#include "common/model/duration.h"
#include "common/model/notification.h"
#include "server/api/http/params.h"

namespace vedette::api {
namespace {

using Json = nlohmann::json;

void WriteStrings(JsonWriter& json, std::string_view key, const std::vector<std::string>& list) {
  json.Key(key).BeginArray();
  for (const std::string& s : list) json.String(s);
  json.EndArray();
}

std::string_view ActivityName(alerting::AlertActivity activity) {
  switch (activity) {
    case alerting::AlertActivity::kUnprocessed:
      return "unprocessed";
    case alerting::AlertActivity::kActive:
      return "active";
    case alerting::AlertActivity::kSuppressed:
      return "suppressed";
  }
  return "unprocessed";
}

// Reads an object's fields by name; what is there with another type is told by name.
class Fields {
 public:
  Fields(const Json& object, std::string where) : object_(object), where_(std::move(where)) {}

  const Json* Find(const char* name) const {
    const auto found = object_.find(name);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  bool Text(const char* name, std::string& out) {
    const Json* v = Find(name);
    if (v == nullptr) return false;
    if (!v->is_string()) {
      Fail(name, "a string is expected");
      return false;
    }
    out = v->get<std::string>();
    return true;
  }
  bool Flag(const char* name, bool& out) {
    const Json* v = Find(name);
    if (v == nullptr) return false;
    if (!v->is_boolean()) {
      Fail(name, "true or false is expected");
      return false;
    }
    out = v->get<bool>();
    return true;
  }
  // 0001-01-01T00:00:00Z is Go's way to say that there is none.
  bool Time(const char* name, int64_t& out_ms) {
    std::string text;
    if (!Text(name, text) || text.empty() || text.starts_with("0001-01-01T00:00:00")) return false;
    const Result<int64_t> t = ParseTime(text);
    if (t.ok()) {
      out_ms = *t;
      return true;
    }
    Fail(name, StrCat("not a time: ", Quoted(text)));
    return false;
  }
  void Set(const char* name, Labels& out) {
    const Json* v = Find(name);
    if (v == nullptr) return;
    if (!v->is_object()) return Fail(name, "an object of strings is expected");
    LabelsBuilder labels;
    for (const auto& [key, value] : v->items()) {
      if (!value.is_string())
        return Fail(name, StrCat("the value of ", Quoted(key), " is no string"));
      labels.Set(key, value.get_ref<const std::string&>());
    }
    out = labels.Build();
  }
  void Fail(std::string_view name, std::string_view reason) {
    if (status_.ok()) status_ = InvalidArgument(StrCat(where_, name, ": ", reason));
  }
  const Status& status() const { return status_; }

 private:
  const Json& object_;
  std::string where_;
  Status status_;
};

Result<Json> Parse(std::string_view body) {
  // An exception with the byte where it went wrong is worth more than a bare "no".
  try {
    return Json::parse(body);
  } catch (const Json::exception& error) {
    return InvalidArgument(StrCat("the body is not JSON: ", error.what()));
  }
}

Result<Matcher> ReadMatcher(const Json& item, size_t index) {
  const std::string where = StrCat("matchers[", index, "].");
  if (!item.is_object()) return InvalidArgument(StrCat(where, " an object is expected"));
  Fields f(item, where);
  std::string name, value;
  bool is_regex = false, is_equal = true;
  if (!f.Text("name", name) || name.empty()) f.Fail("name", "is required");
  if (!f.Text("value", value)) f.Fail("value", "is required");
  f.Flag("isRegex", is_regex);
  f.Flag("isEqual", is_equal);
  VEDETTE_RETURN_IF_ERROR(f.status());
  const Matcher::Op op = is_regex ? (is_equal ? Matcher::Op::kRegex : Matcher::Op::kNotRegex)
                                  : (is_equal ? Matcher::Op::kEqual : Matcher::Op::kNotEqual);
  Result<Matcher> made = Matcher::Make(op, name, value);
  if (!made.ok()) return made.status().Annotate(StrCat(where, "value"));
  return made;
}

}  // namespace

std::string FormatMillis(int64_t t_ms) {
  std::string text = FormatTime(t_ms);
  const size_t dot = text.find('.');
  if (dot == std::string::npos) return text.substr(0, text.size() - 1) + ".000Z";
  std::string digits = text.substr(dot + 1, text.size() - dot - 2);
  digits.resize(3, '0');
  return StrCat(text.substr(0, dot + 1), digits, "Z");
}

void WriteGettableAlert(JsonWriter& json, const alerting::AlertView& v) {
  json.BeginObject();
  json.Key("annotations").Object(v.alert.annotations);
  json.Key("endsAt").String(FormatMillis(v.alert.ends_at_ms));
  json.Key("fingerprint").String(AlertFingerprintText(v.alert.labels));
  json.Key("receivers").BeginArray();
  for (const std::string& name : v.receivers) {
    json.BeginObject().Key("name").String(name).EndObject();
  }
  json.EndArray();
  json.Key("startsAt").String(FormatMillis(v.alert.starts_at_ms));
  json.Key("status").BeginObject();
  WriteStrings(json, "inhibitedBy", v.inhibited_by);
  WriteStrings(json, "mutedBy", v.muted_by);
  WriteStrings(json, "silencedBy", v.silenced_by);
  json.Key("state").String(ActivityName(v.activity)).EndObject();
  json.Key("updatedAt").String(FormatMillis(v.updated_at_ms));
  if (!v.alert.generator_url.empty()) json.Key("generatorURL").String(v.alert.generator_url);
  json.Key("labels").Object(v.alert.labels);
  json.EndObject();
}

void WriteGettableSilence(JsonWriter& json, const alerting::SilenceView& view) {
  const alerting::Silence& s = view.silence;
  json.BeginObject();
  json.Key("id").String(s.id);
  json.Key("status").BeginObject().Key("state").String(SilenceStateName(view.state)).EndObject();
  json.Key("updatedAt").String(FormatMillis(s.updated_at_ms));
  if (!s.annotations.empty()) json.Key("annotations").Object(s.annotations);
  json.Key("comment").String(s.comment);
  json.Key("createdBy").String(s.created_by);
  json.Key("endsAt").String(FormatMillis(s.ends_at_ms));
  json.Key("matchers").BeginArray();
  for (const Matcher& m : s.matchers) {
    json.BeginObject();
    json.Key("isEqual").Bool(m.op() == Matcher::Op::kEqual || m.op() == Matcher::Op::kRegex);
    json.Key("isRegex").Bool(m.op() == Matcher::Op::kRegex || m.op() == Matcher::Op::kNotRegex);
    json.Key("name").String(m.name());
    json.Key("value").String(m.value());
    json.EndObject();
  }
  json.EndArray();
  if (s.recurrence) json.Key("recurrence").Raw(config::FormatTimeInterval(*s.recurrence));
  if (s.remind_before_ms > 0) json.Key("remindBefore").String(FormatDuration(s.remind_before_ms));
  json.Key("startsAt").String(FormatMillis(s.starts_at_ms));
  json.EndObject();
}

Result<std::vector<Alert>> ReadPostableAlerts(std::string_view body) {
  VEDETTE_ASSIGN_OR_RETURN(const Json root, Parse(body));
  if (!root.is_array()) return InvalidArgument("a list of alerts is expected");
  std::vector<Alert> out;
  for (size_t i = 0; i < root.size(); ++i) {
    const std::string where = StrCat("[", i, "].");
    if (!root[i].is_object()) return InvalidArgument(StrCat(where, " an object is expected"));
    Fields f(root[i], where);
    Alert& a = out.emplace_back();
    if (f.Find("labels") == nullptr) f.Fail("labels", "is required");
    f.Set("labels", a.labels);
    f.Set("annotations", a.annotations);
    f.Time("startsAt", a.starts_at_ms);
    f.Time("endsAt", a.ends_at_ms);
    f.Text("generatorURL", a.generator_url);
    VEDETTE_RETURN_IF_ERROR(f.status());
  }
  return out;
}

Result<alerting::Silence> ReadPostableSilence(std::string_view body) {
  VEDETTE_ASSIGN_OR_RETURN(const Json root, Parse(body));
  if (!root.is_object()) return InvalidArgument("a silence is expected");
  Fields f(root, "");
  alerting::Silence s;
  f.Text("id", s.id);
  f.Text("comment", s.comment);
  f.Text("createdBy", s.created_by);
  f.Set("annotations", s.annotations);
  if (!f.Time("startsAt", s.starts_at_ms)) f.Fail("startsAt", "is required");
  if (!f.Time("endsAt", s.ends_at_ms)) f.Fail("endsAt", "is required");
  const Json* matchers = f.Find("matchers");
  if (matchers == nullptr || !matchers->is_array() || matchers->empty()) {
    f.Fail("matchers", "a list of at least one matcher is required");
  }
  VEDETTE_RETURN_IF_ERROR(f.status());
  for (size_t i = 0; i < matchers->size(); ++i) {
    VEDETTE_ASSIGN_OR_RETURN(Matcher m, ReadMatcher((*matchers)[i], i));
    s.matchers.push_back(std::move(m));
  }
  if (const Json* recurrence = f.Find("recurrence")) {
    VEDETTE_ASSIGN_OR_RETURN(s.recurrence, config::ParseTimeInterval(recurrence->dump()));
  }
  std::string remind;
  if (f.Text("remindBefore", remind) && !remind.empty()) {
    const Result<int64_t> ms = ParseDuration(remind);
    if (!ms.ok()) return ms.status().Annotate("remindBefore");
    s.remind_before_ms = *ms;
  }
  VEDETTE_RETURN_IF_ERROR(f.status());
  return s;
}

bool SilenceFits(const std::vector<Matcher>& filter, const alerting::Silence& silence) {
  std::map<std::string_view, std::string_view> values;
  for (const Matcher& m : silence.matchers) values[m.name()] = m.value();
  for (const Matcher& m : filter) {
    const auto it = values.find(m.name());
    if (!m.Matches(it == values.end() ? std::string_view() : it->second)) return false;
  }
  return true;
}

}  // namespace vedette::api
