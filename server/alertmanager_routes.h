#pragma once

#include <string>

#include "common/http/router.h"
#include "server/api/http/alertmanager.h"

namespace vedette {

// Alertmanager's API v2 under `prefix` and under `prefix`/alertmanager (for programs that are told
// one base address for each system), and the history under /api/v1. `door` outlives the router.
void AddAlertmanagerRoutes(http::Router& router, const std::string& prefix,
                           api::AlertmanagerDoor& door);

}  // namespace vedette
