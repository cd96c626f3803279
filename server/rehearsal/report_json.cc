#include <nlohmann/json.hpp>

#include "server/rehearsal/rehearsal.h"
#include "server/template/time_format.h"

namespace vedette::rehearsal {
namespace {

using Json = nlohmann::ordered_json;

Json Object(const Labels& labels) {
  Json out = Json::object();
  for (const Label& l : labels) out[std::string(l.name)] = std::string(l.value);
  return out;
}

Json List(const std::vector<Firing>& firings) {
  Json out = Json::array();
  for (const Firing& f : firings) {
    Json one = {{"labels", Object(f.labels)}, {"annotations", Object(f.annotations)}};
    one["firedAt"] = tmpl::FormatRfc3339(f.fired_at_ms);
    if (f.resolved_at_ms != 0) {
      one["resolvedAt"] = tmpl::FormatRfc3339(f.resolved_at_ms);
      one["seconds"] = static_cast<double>(f.resolved_at_ms - f.fired_at_ms) / 1000;
    }
    out.push_back(std::move(one));
  }
  return out;
}

Json List(const std::vector<Message>& messages) {
  Json out = Json::array();
  for (const Message& m : messages) {
    out.push_back({{"time", tmpl::FormatRfc3339(m.t_ms)},
                   {"receiver", m.receiver},
                   {"integration", m.integration},
                   {"groupKey", m.group_key},
                   {"reason", m.reason},
                   {"firing", m.firing},
                   {"resolved", m.resolved},
                   {"body", m.body}});
  }
  return out;
}

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string ReportJson(const Report& report) {
  Json out = {{"alerts", List(report.firings)}, {"messages", List(report.messages)}};
  out["errors"] = Json::array();
  for (const RuleError& e : report.errors) {
    out["errors"].push_back({{"rule", e.rule}, {"error", e.error}});
  }
  out["stats"] = {{"evaluations", report.evaluations}, {"queries", report.queries}};
  return Dump(out);
}

std::string DifferenceJson(const Difference& d) {
  return Dump(Json{{"alertsOnlyBefore", List(d.firings_gone)},
                   {"alertsOnlyAfter", List(d.firings_new)},
                   {"messagesOnlyBefore", List(d.messages_gone)},
                   {"messagesOnlyAfter", List(d.messages_new)}});
}

}  // namespace vedette::rehearsal
