#include "ctl/routes.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>
#include <set>
#include <utility>

#include "common/base/strings.h"
#include "common/config/alertmanager.h"
#include "server/alerting/route.h"

namespace vedette::ctl {
namespace {

Result<config::AlertmanagerConfig> Load(const std::string& file, const HttpApi& api) {
  if (!file.empty()) return config::LoadAlertmanagerConfig(file);
  VEDETTE_ASSIGN_OR_RETURN(const std::string body, api.Call("GET", "/api/v2/status"));
  const auto json = nlohmann::json::parse(body, nullptr, false);
  const auto at = nlohmann::json::json_pointer("/config/original");
  if (!json.is_object() || !json.contains(at) || !json[at].is_string()) {
    return InvalidArgument(StrCat(api.url, " did not answer as an Alertmanager does"));
  }
  // Secrets come masked, which the parser of URLs would refuse.
  std::string text = json[at].get<std::string>();
  for (size_t i = text.find("<secret>"); i != std::string::npos; i = text.find("<secret>", i)) {
    text.replace(i, 8, "http://secret.invalid");
  }
  return config::ParseAlertmanagerConfig(text, api.url);
}

// `chosen`: null to show all, else only the way to these nodes.
bool Leads(const alerting::Route& route, const std::set<const alerting::Route*>* chosen) {
  if (chosen == nullptr || chosen->contains(&route)) return true;
  return std::ranges::any_of(route.children,
                             [&](const auto& child) { return Leads(*child, chosen); });
}

void Draw(const alerting::Route& route, const std::string& indent, bool last,
          const std::set<const alerting::Route*>* chosen, std::ostream& out) {
  std::string label;
  for (const Matcher& m : route.config->matchers) {
    StrAppend(label, label.empty() ? "" : ",", m.ToString());
  }
  out << indent << (last ? "└── " : "├── ")
      << (label.empty() ? "default-route" : StrCat("{", label, "}"));
  if (route.config->continue_matching) out << "  continue: true";
  out << "  receiver: " << route.config->receiver << "\n";
  std::vector<const alerting::Route*> children;
  for (const auto& child : route.children) {
    if (Leads(*child, chosen)) children.push_back(child.get());
  }
  for (const alerting::Route* child : children) {
    Draw(*child, indent + (last ? "    " : "│   "), child == children.back(), chosen, out);
  }
}

}  // namespace

Status RoutesShow::Run(const HttpApi& api, std::ostream& out) const {
  VEDETTE_ASSIGN_OR_RETURN(const config::AlertmanagerConfig config, Load(config_file, api));
  const auto root = alerting::BuildRoutes(config.route);
  out << "Routing tree:\n.\n";
  Draw(*root, "", true, nullptr, out);
  return {};
}

Status RoutesTest::Run(const HttpApi& api, std::ostream& out) const {
  LabelsBuilder alert;
  for (const std::string& text : labels) {
    Result<Matcher> matcher = config::ParseAlertMatcher(text);
    if (!matcher.ok() || matcher->op() != Matcher::Op::kEqual) {
      return InvalidArgument(StrCat(Quoted(text), ": a label is written name=value"));
    }
    alert.Set(matcher->name(), matcher->value());
  }
  VEDETTE_ASSIGN_OR_RETURN(const config::AlertmanagerConfig config, Load(config_file, api));
  const auto root = alerting::BuildRoutes(config.route);
  const std::vector<const alerting::Route*> found = alerting::MatchRoutes(*root, alert.Build());
  if (tree) {
    const std::set<const alerting::Route*> chosen(found.begin(), found.end());
    out << "Matching routes:\n.\n";
    Draw(*root, "", true, &chosen, out);
    out << "\n";
  }
  std::vector<std::string> receivers;
  for (const alerting::Route* route : found) receivers.push_back(route->config->receiver);
  std::string line;
  for (const std::string& name : receivers) StrAppend(line, line.empty() ? "" : ",", name);
  out << line << "\n";
  if (verify_receivers.empty() || verify_receivers == receivers) return {};
  std::string wanted;
  for (const std::string& name : verify_receivers) {
    StrAppend(wanted, wanted.empty() ? "" : ",", name);
  }
  return FailedPrecondition(
      StrCat("expected receivers did not match resolved receivers: wanted ", wanted));
}

}  // namespace vedette::ctl
