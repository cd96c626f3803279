#pragma once

#include <memory>
#include <string>
#include <vector>

#include "server/push/group.h"

namespace vedette::push {

using Groups = std::vector<std::shared_ptr<const Group>>;

// All groups as one text exposition, as Pushgateway's /metrics shows them: a series without an
// instance says instance="", so that whoever scrapes the page with honor_labels adds none.
std::string PushedText(const Groups& groups);

// All groups as the answer of Pushgateway's GET /api/v1/metrics: a group a map of its families.
std::string PushedJson(const Groups& groups);

}  // namespace vedette::push
