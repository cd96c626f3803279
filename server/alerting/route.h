#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/config/alertmanager.h"
#include "common/model/labels.h"

namespace vedette::alerting {

// One node of the routing tree, ready to match.
struct Route {
  const config::RouteConfig* config = nullptr;
  std::string key;  // {}/{severity="page"}: the matchers on the way down; in messages.
  std::string id;   // key and the places on the way down: no two routes share it.
  std::vector<std::unique_ptr<Route>> children;
};

// The tree of a configuration, which outlives it.
std::unique_ptr<Route> BuildRoutes(const config::RouteConfig& root);

// Depth first: the deepest matching nodes; siblings after a match only with `continue`.
std::vector<const Route*> MatchRoutes(const Route& root, const Labels& alert);

// The labels that an alert is grouped by on this route.
Labels GroupLabels(const Route& route, const Labels& alert);

bool AllMatch(const std::vector<Matcher>& matchers, const Labels& labels);

}  // namespace vedette::alerting
