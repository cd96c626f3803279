#include "ctl/silences.h"

#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <ostream>
#include <utility>

#include "common/base/strings.h"
#include "common/config/alertmanager.h"
#include "common/model/duration.h"
#include "common/model/matcher.h"
#include "ctl/output.h"

namespace vedette::ctl {
namespace {

using Json = nlohmann::ordered_json;

Result<Json> Parse(const std::string& body, const HttpApi& api) {
  Json json = Json::parse(body, nullptr, false);
  if (json.is_discarded()) return InvalidArgument(StrCat(api.url, " did not answer with JSON"));
  return json;
}

// name=value and kin; the first word without an operator names the alert.
Result<std::vector<Matcher>> ReadMatchers(const std::vector<std::string>& words) {
  std::vector<Matcher> out;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i == 0 && words[i].find_first_of("=~!{") == std::string::npos) {
      out.push_back(Matcher::Equal("alertname", words[i]));
      continue;
    }
    Result<std::vector<Matcher>> parsed = config::ParseAlertMatchers(words[i]);
    if (!parsed.ok()) return parsed.status();
    out.insert(out.end(), parsed->begin(), parsed->end());
  }
  return out;
}

Result<Json> ReadPairs(const std::vector<std::string>& words) {
  VEDETTE_ASSIGN_OR_RETURN(const std::vector<Matcher> matchers, ReadMatchers(words));
  Json out = Json::object();
  for (const Matcher& m : matchers) {
    if (m.op() != Matcher::Op::kEqual) {
      return InvalidArgument(StrCat(Quoted(m.ToString()), ": only name=value is possible here"));
    }
    out[m.name()] = m.value();
  }
  return out;
}

Json MatcherJson(const std::vector<Matcher>& matchers) {
  Json out = Json::array();
  for (const Matcher& m : matchers) {
    out.push_back({{"name", m.name()},
                   {"value", m.value()},
                   {"isRegex", m.op() == Matcher::Op::kRegex || m.op() == Matcher::Op::kNotRegex},
                   {"isEqual", m.op() == Matcher::Op::kEqual || m.op() == Matcher::Op::kRegex}});
  }
  return out;
}

std::string FilterQuery(const std::vector<Matcher>& matchers, const char* separator) {
  std::string out;
  for (const Matcher& m : matchers) {
    StrAppend(out, separator, "filter=", PercentEncoded(m.ToString()));
    separator = "&";
  }
  return out;
}

std::string TextOf(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::string PairsText(const Json& object) {
  std::string out;
  if (!object.is_object()) return out;
  for (const auto& [name, value] : object.items()) {
    StrAppend(out, out.empty() ? "" : " ", name, "=",
              Quoted(value.is_string() ? value.get<std::string>() : value.dump()));
  }
  return out;
}

std::string MatchersText(const Json& silence) {
  std::string out;
  for (const Json& m : silence.value("matchers", Json::array())) {
    const bool equal = m.value("isEqual", true), regex = m.value("isRegex", false);
    StrAppend(out, out.empty() ? "" : " ", TextOf(m, "name"),
              regex ? (equal ? "=~" : "!~") : (equal ? "=" : "!="), Quoted(TextOf(m, "value")));
  }
  return out;
}

Status CheckFormat(const std::string& format) {
  if (format == "simple" || format == "extended" || format == "json") return {};
  return InvalidArgument(StrCat("-o ", format, ": simple, extended or json"));
}

// From and to of a silence: what is not given comes from now and the duration.
struct Span {
  int64_t start_ms = 0, end_ms = 0;
};
Result<Span> ReadSpan(const std::string& start, const std::string& end, const std::string& duration,
                      int64_t now_ms) {
  Span span{.start_ms = now_ms};
  if (!start.empty()) {
    VEDETTE_ASSIGN_OR_RETURN(span.start_ms, ParseTime(start, now_ms));
  }
  if (!end.empty()) {
    VEDETTE_ASSIGN_OR_RETURN(span.end_ms, ParseTime(end, now_ms));
  } else {
    const Result<int64_t> length_ms = ParseDuration(duration);
    if (!length_ms.ok()) return length_ms.status().Annotate("--duration");
    if (*length_ms == 0) return InvalidArgument("silence duration must be greater than 0");
    span.end_ms = span.start_ms + *length_ms;
  }
  if (span.end_ms < span.start_ms) {
    return InvalidArgument("silence cannot start after it ends");
  }
  return span;
}

void PrintSilences(const Json& silences, const std::string& format, std::ostream& out) {
  if (format == "json") {
    out << silences.dump(2) << "\n";
    return;
  }
  Table table;
  if (format == "extended") {
    table.columns = {"ID",         "Matchers", "Starts At", "Ends At",   "Updated At",
                     "Created By", "Comment",  "State",     "Recurrence"};
    for (const Json& s : silences) {
      table.rows.push_back({TextOf(s, "id"), MatchersText(s), TextOf(s, "startsAt"),
                            TextOf(s, "endsAt"), TextOf(s, "updatedAt"), TextOf(s, "createdBy"),
                            TextOf(s, "comment"),
                            TextOf(s.value("status", Json::object()), "state"),
                            s.contains("recurrence") ? s["recurrence"].dump() : ""});
    }
  } else {
    table.columns = {"ID", "Matchers", "Ends At", "Created By", "Comment"};
    for (const Json& s : silences) {
      table.rows.push_back({TextOf(s, "id"), MatchersText(s), TextOf(s, "endsAt"),
                            TextOf(s, "createdBy"), TextOf(s, "comment")});
    }
  }
  table.Print(Format::kTable, out);
}

void PrintAlerts(const Json& alerts, const std::string& format, std::ostream& out) {
  if (format == "json") {
    out << alerts.dump(2) << "\n";
    return;
  }
  Table table;
  const auto state = [](const Json& a) {
    return TextOf(a.value("status", Json::object()), "state");
  };
  if (format == "extended") {
    table.columns = {"Labels", "Annotations", "Starts At", "Ends At", "Generator URL", "State"};
    for (const Json& a : alerts) {
      table.rows.push_back({PairsText(a.value("labels", Json())),
                            PairsText(a.value("annotations", Json())), TextOf(a, "startsAt"),
                            TextOf(a, "endsAt"), TextOf(a, "generatorURL"), state(a)});
    }
  } else {
    table.columns = {"Alertname", "Starts At", "Summary", "State"};
    for (const Json& a : alerts) {
      table.rows.push_back({TextOf(a.value("labels", Json::object()), "alertname"),
                            TextOf(a, "startsAt"),
                            TextOf(a.value("annotations", Json::object()), "summary"), state(a)});
    }
  }
  table.Print(Format::kTable, out);
}

}  // namespace

Status AlertQuery::Run(const HttpApi& api, std::ostream& out) const {
  VEDETTE_RETURN_IF_ERROR(CheckFormat(format));
  VEDETTE_ASSIGN_OR_RETURN(const std::vector<Matcher> filter, ReadMatchers(matchers));
  // As amtool: without a flag the active ones, with flags those that are named.
  const bool any = active || silenced || inhibited || unprocessed;
  const auto word = [](bool b) { return b ? "true" : "false"; };
  const std::string path = StrCat(
      "/api/v2/alerts?active=", word(!any || active), "&silenced=", word(silenced),
      "&inhibited=", word(inhibited), "&unprocessed=", word(unprocessed),
      receiver.empty() ? "" : "&receiver=" + PercentEncoded(receiver), FilterQuery(filter, "&"));
  VEDETTE_ASSIGN_OR_RETURN(const std::string body, api.Call("GET", path));
  VEDETTE_ASSIGN_OR_RETURN(const Json alerts, Parse(body, api));
  PrintAlerts(alerts, format, out);
  return {};
}

Status AlertAdd::Run(const HttpApi& api, const Clock& clock) const {
  Json alert;
  VEDETTE_ASSIGN_OR_RETURN(alert["labels"], ReadPairs(labels));
  if (alert["labels"].empty()) return InvalidArgument("an alert needs labels: name=value ...");
  VEDETTE_ASSIGN_OR_RETURN(alert["annotations"], ReadPairs(annotations));
  for (const auto& [key, text] : {std::pair("startsAt", &start), std::pair("endsAt", &end)}) {
    if (text->empty()) continue;
    VEDETTE_ASSIGN_OR_RETURN(const int64_t t_ms, ParseTime(*text, clock.NowMs()));
    alert[key] = FormatTime(t_ms);
  }
  if (!generator_url.empty()) alert["generatorURL"] = generator_url;
  return api.Call("POST", "/api/v2/alerts", Json::array({alert}).dump()).status();
}

Status SilenceAdd::Run(const HttpApi& api, const Clock& clock, std::ostream& out) const {
  VEDETTE_ASSIGN_OR_RETURN(const std::vector<Matcher> what, ReadMatchers(matchers));
  if (what.empty()) return InvalidArgument("no matchers specified");
  if (require_comment && comment.empty() && !preview) {
    return InvalidArgument("comment required by config: give --comment");
  }
  VEDETTE_ASSIGN_OR_RETURN(const Span span, ReadSpan(start, end, duration, clock.NowMs()));
  Json silence = {{"matchers", MatcherJson(what)},
                  {"startsAt", FormatTime(span.start_ms)},
                  {"endsAt", FormatTime(span.end_ms)},
                  {"createdBy", author},
                  {"comment", comment}};
  if (!annotations.empty()) {
    VEDETTE_ASSIGN_OR_RETURN(silence["annotations"], ReadPairs(annotations));
  }
  if (!recurrence.empty()) {
    VEDETTE_ASSIGN_OR_RETURN(const config::TimeInterval interval,
                             config::ParseTimeInterval(recurrence));
    silence["recurrence"] = Json::parse(config::FormatTimeInterval(interval));
  }
  if (!remind_before.empty()) silence["remindBefore"] = remind_before;
  if (preview) {
    VEDETTE_ASSIGN_OR_RETURN(const std::string body,
                             api.Call("POST", "/api/v2/silences/preview", silence.dump()));
    VEDETTE_ASSIGN_OR_RETURN(const Json alerts, Parse(body, api));
    PrintAlerts(alerts, "extended", out);
    return {};
  }
  VEDETTE_ASSIGN_OR_RETURN(const std::string body,
                           api.Call("POST", "/api/v2/silences", silence.dump()));
  VEDETTE_ASSIGN_OR_RETURN(const Json answer, Parse(body, api));
  out << TextOf(answer, "silenceID") << "\n";
  return {};
}

Status SilenceQuery::Run(const HttpApi& api, const Clock& clock, std::ostream& out) const {
  VEDETTE_RETURN_IF_ERROR(CheckFormat(format));
  VEDETTE_ASSIGN_OR_RETURN(const std::vector<Matcher> filter, ReadMatchers(matchers));
  VEDETTE_ASSIGN_OR_RETURN(const std::string body,
                           api.Call("GET", StrCat("/api/v2/silences", FilterQuery(filter, "?"))));
  VEDETTE_ASSIGN_OR_RETURN(const Json all, Parse(body, api));
  int64_t within_ms = 0;
  if (!within.empty()) {
    VEDETTE_ASSIGN_OR_RETURN(within_ms, ParseDuration(within));
  }
  const int64_t now_ms = clock.NowMs();
  Json chosen = Json::array();
  for (const Json& s : all) {
    const bool over = TextOf(s.value("status", Json::object()), "state") == "expired";
    if (over != expired) continue;
    if (!created_by.empty() && TextOf(s, "createdBy") != created_by) continue;
    if (!id.empty() && TextOf(s, "id") != id) continue;
    if (within_ms > 0) {
      // Those that end soon, or ended lately.
      const Result<int64_t> end_ms = ParseTime(TextOf(s, "endsAt"), now_ms);
      if (!end_ms.ok()) continue;
      if (expired ? *end_ms < now_ms - within_ms : *end_ms > now_ms + within_ms) continue;
    }
    chosen.push_back(s);
  }
  if (!quiet) {
    PrintSilences(chosen, format, out);
    return {};
  }
  for (const Json& s : chosen) out << TextOf(s, "id") << "\n";
  return {};
}

Status SilenceExpire::Run(const HttpApi& api) const {
  for (const std::string& id : ids) {
    const Status done = api.Call("DELETE", "/api/v2/silence/" + PercentEncoded(id)).status();
    if (!done.ok()) return done.Annotate(id);
  }
  return {};
}

Status SilenceUpdate::Run(const HttpApi& api, const Clock& clock, std::ostream& out) const {
  VEDETTE_RETURN_IF_ERROR(CheckFormat(format));
  Json updated = Json::array();
  for (const std::string& id : ids) {
    const std::string path = "/api/v2/silence/" + PercentEncoded(id);
    Result<std::string> body = api.Call("GET", path);
    if (!body.ok()) return body.status().Annotate(id);
    VEDETTE_ASSIGN_OR_RETURN(Json silence, Parse(*body, api));
    if (!start.empty()) {
      VEDETTE_ASSIGN_OR_RETURN(const int64_t t_ms, ParseTime(start, clock.NowMs()));
      silence["startsAt"] = FormatTime(t_ms);
    }
    if (!end.empty()) {
      VEDETTE_ASSIGN_OR_RETURN(const int64_t t_ms, ParseTime(end, clock.NowMs()));
      silence["endsAt"] = FormatTime(t_ms);
    } else if (!duration.empty()) {
      VEDETTE_ASSIGN_OR_RETURN(const int64_t from_ms,
                               ParseTime(TextOf(silence, "startsAt"), clock.NowMs()));
      VEDETTE_ASSIGN_OR_RETURN(const int64_t length_ms, ParseDuration(duration));
      silence["endsAt"] = FormatTime(from_ms + length_ms);
    }
    if (!comment.empty()) silence["comment"] = comment;
    for (const char* ours : {"status", "updatedAt"}) silence.erase(ours);
    VEDETTE_ASSIGN_OR_RETURN(const std::string answer,
                             api.Call("POST", "/api/v2/silences", silence.dump()));
    VEDETTE_ASSIGN_OR_RETURN(const Json made, Parse(answer, api));
    VEDETTE_ASSIGN_OR_RETURN(
        const std::string now,
        api.Call("GET", "/api/v2/silence/" + PercentEncoded(TextOf(made, "silenceID"))));
    VEDETTE_ASSIGN_OR_RETURN(Json one, Parse(now, api));
    updated.push_back(std::move(one));
  }
  PrintSilences(updated, format, out);
  return {};
}

Status SilenceImport::Run(const HttpApi& api, std::ostream& out) const {
  std::string text;
  if (file == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else {
    std::ifstream in(file, std::ios::binary);
    if (!in) return NotFound(StrCat("cannot read ", file));
    text.assign(std::istreambuf_iterator<char>(in), {});
  }
  const Json silences = Json::parse(text, nullptr, false);
  if (!silences.is_array()) {
    return InvalidArgument(
        StrCat(file, ": not a list of silences, as 'silence query -o json' prints it"));
  }
  size_t failed = 0;
  for (Json silence : silences) {
    if (!silence.is_object()) {
      return InvalidArgument(StrCat(file, ": not a list of silences"));
    }
    for (const char* ours : {"status", "updatedAt"}) silence.erase(ours);
    if (force) silence.erase("id");
    Result<std::string> made = api.Call("POST", "/api/v2/silences", silence.dump());
    if (made.status().code() == StatusCode::kNotFound && silence.contains("id")) {
      silence.erase("id");  // Another server's id: here it is a new one.
      made = api.Call("POST", "/api/v2/silences", silence.dump());
    }
    if (!made.ok()) {
      out << "not imported: " << TextOf(silence, "id") << ": " << made.status().message() << "\n";
      ++failed;
      continue;
    }
    const Json answer = Json::parse(*made, nullptr, false);
    out << TextOf(answer, "silenceID") << "\n";
  }
  if (failed > 0) return FailedPrecondition(StrCat(failed, " silences were not imported"));
  return {};
}

}  // namespace vedette::ctl
