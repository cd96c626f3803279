#pragma once

#include <string>

#include "common/http/router.h"
#include "common/metrics/metrics.h"
#include "server/push/push_body.h"
#include "server/push/push_store.h"

namespace vedette::push {

// Pushgateway's paths: PUT, POST and DELETE of /metrics/job/..., GET /api/v1/metrics, and, with
// `allow_wipe`, PUT /api/v1/admin/wipe; of our own, GET /pushed: everything pushed as text. A push
// may say in ?ttl=1h how long its group lives after it. `prefix` as for the server's other routes.
// The store and the registry outlive the router.
void AddPushRoutes(http::Router& router, const std::string& prefix, PushStore& store,
                   const PushLimits& limits, bool allow_wipe, metrics::Registry& registry);

}  // namespace vedette::push
