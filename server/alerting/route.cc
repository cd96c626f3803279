#include "server/alerting/route.h"

#include <algorithm>
#include <tuple>

#include "common/base/strings.h"

namespace vedette::alerting {
namespace {

// In one order whatever the file's, as Alertmanager does: keys are compared across files.
std::string MatchersText(std::vector<Matcher> matchers) {
  std::sort(matchers.begin(), matchers.end(), [](const Matcher& a, const Matcher& b) {
    return std::tuple(a.name(), a.value(), a.op()) < std::tuple(b.name(), b.value(), b.op());
  });
  std::string out = "{";
  for (const Matcher& m : matchers) {
    if (out.size() > 1) out += ',';
    out += m.ToString();
  }
  return out + "}";
}

std::unique_ptr<Route> Build(const config::RouteConfig& config, const Route* parent, size_t at) {
  auto route = std::make_unique<Route>();
  route->config = &config;
  route->key = parent == nullptr ? "{}" : parent->key + "/" + MatchersText(config.matchers);
  route->id =
      parent == nullptr ? "{}" : StrCat(parent->id, "/", MatchersText(config.matchers), "/", at);
  for (size_t i = 0; i < config.routes.size(); ++i) {
    route->children.push_back(Build(config.routes[i], route.get(), i));
  }
  return route;
}

void Match(const Route& route, const Labels& alert, std::vector<const Route*>& out) {
  const size_t before = out.size();
  for (const auto& child : route.children) {
    if (!AllMatch(child->config->matchers, alert)) continue;
    Match(*child, alert, out);
    if (!child->config->continue_matching) break;
  }
  if (out.size() == before) out.push_back(&route);
}

}  // namespace

bool AllMatch(const std::vector<Matcher>& matchers, const Labels& labels) {
  for (const Matcher& m : matchers) {
    if (!m.Matches(labels.Get(m.name()))) return false;
  }
  return true;
}

std::unique_ptr<Route> BuildRoutes(const config::RouteConfig& root) {
  return Build(root, nullptr, 0);
}

std::vector<const Route*> MatchRoutes(const Route& root, const Labels& alert) {
  std::vector<const Route*> out;
  Match(root, alert, out);
  return out;
}

Labels GroupLabels(const Route& route, const Labels& alert) {
  return route.config->group_by_all ? alert : alert.Only(route.config->group_by);
}

}  // namespace vedette::alerting
