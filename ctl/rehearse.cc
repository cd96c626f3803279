#include "ctl/rehearse.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <ostream>
#include <utility>

#include "common/base/strings.h"
#include "common/model/duration.h"
#include "ctl/output.h"

namespace vedette::ctl {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kPatienceMs = 600'000;  // A month of many rules, on a busy server.

Result<std::string> ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return NotFound(StrCat("cannot read ", path));
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// {"rules":{file:text},"alertmanager":text}; what is not given is the server's own.
Result<Json> Side(const std::vector<std::string>& rules, const std::string& alertmanager) {
  Json side = Json::object();
  for (const std::string& path : rules) {
    VEDETTE_ASSIGN_OR_RETURN(side["rules"][path], ReadFile(path));
  }
  if (!alertmanager.empty()) {
    VEDETTE_ASSIGN_OR_RETURN(side["alertmanager"], ReadFile(alertmanager));
  }
  return side;
}

std::string TextOf(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::string LabelsText(const Json& labels) {
  std::string out;
  for (const auto& [name, value] : labels.items()) {
    StrAppend(out, out.empty() ? "" : ", ", name, "=", value.dump());
  }
  return "{" + out + "}";
}

void PrintAlerts(const Json& alerts, const std::string& mark, std::ostream& out) {
  for (const Json& a : alerts) {
    out << mark << TextOf(a, "firedAt") << "  ";
    if (a.contains("seconds") && a["seconds"].is_number()) {
      out << "for " << FormatDuration(static_cast<int64_t>(a["seconds"].get<double>() * 1000));
    } else {
      out << "still firing";
    }
    out << "  " << LabelsText(a.value("labels", Json::object())) << "\n";
  }
}

void PrintMessages(const Json& messages, const std::string& mark, bool bodies, std::ostream& out) {
  for (const Json& m : messages) {
    out << mark << TextOf(m, "time") << "  " << TextOf(m, "receiver") << "/"
        << TextOf(m, "integration") << "  " << m.value("firing", 0) << " firing, "
        << m.value("resolved", 0) << " resolved  (" << TextOf(m, "reason") << ")  "
        << TextOf(m, "groupKey") << "\n";
    if (!bodies) continue;
    const std::string body = TextOf(m, "body");
    for (const std::string_view line : Split(body, '\n')) out << mark << "    " << line << "\n";
  }
}

void PrintErrors(const Json& errors, std::ostream& out) {
  for (const Json& e : errors) {
    out << "rule " << TextOf(e, "rule") << ": " << TextOf(e, "error") << "\n";
  }
}

}  // namespace

Status Rehearse::Run(const HttpApi& api, const Clock& clock, std::ostream& out) const {
  if (format != "text" && format != "json") {
    return InvalidArgument(StrCat("-o ", format, ": text or json"));
  }
  VEDETTE_ASSIGN_OR_RETURN(Json request, Side(rules, alertmanager_config));
  VEDETTE_ASSIGN_OR_RETURN(const int64_t from_ms, ParseTime(from, clock.NowMs()));
  VEDETTE_ASSIGN_OR_RETURN(const int64_t to_ms, ParseTime(to, clock.NowMs()));
  request["from"] = FormatTime(from_ms);
  request["to"] = FormatTime(to_ms);
  request["silences"] = !without_silences;
  if (!compare_rules.empty() || !compare_alertmanager_config.empty()) {
    VEDETTE_ASSIGN_OR_RETURN(Json other, Side(compare_rules, compare_alertmanager_config));
    // What the second does not say is as in the first: one thing changes at a time.
    for (const char* same : {"rules", "alertmanager"}) {
      if (!other.contains(same) && request.contains(same)) other[same] = request[same];
    }
    request["compare"] = std::move(other);
  }
  HttpApi patient = api;
  patient.timeout_ms = std::max(api.timeout_ms, kPatienceMs);
  VEDETTE_ASSIGN_OR_RETURN(const std::string body,
                           patient.Call("POST", "/api/v1/rehearse", request.dump()));
  if (format == "json") {
    out << body << "\n";
    return {};
  }
  const Json answer = Json::parse(body, nullptr, false);
  if (!answer.is_object() || !answer.contains("data")) {
    return InvalidArgument(StrCat(api.url, " did not answer with a rehearsal"));
  }
  const Json& data = answer["data"];
  if (data.contains("difference")) {
    const Json& d = data["difference"];
    out << "Alerts (- only before, + only after):\n";
    PrintAlerts(d.value("alertsOnlyBefore", Json::array()), "- ", out);
    PrintAlerts(d.value("alertsOnlyAfter", Json::array()), "+ ", out);
    out << "\nMessages (- only before, + only after):\n";
    PrintMessages(d.value("messagesOnlyBefore", Json::array()), "- ", bodies, out);
    PrintMessages(d.value("messagesOnlyAfter", Json::array()), "+ ", bodies, out);
    for (const char* side : {"before", "after"}) {
      PrintErrors(data.value(side, Json::object()).value("errors", Json::array()), out);
    }
    return {};
  }
  const Json alerts = data.value("alerts", Json::array());
  const Json messages = data.value("messages", Json::array());
  out << alerts.size() << " alerts would have fired:\n";
  PrintAlerts(alerts, "  ", out);
  out << "\n" << messages.size() << " messages would have been sent:\n";
  PrintMessages(messages, "  ", bodies, out);
  PrintErrors(data.value("errors", Json::array()), out);
  return {};
}

}  // namespace vedette::ctl
