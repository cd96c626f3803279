#pragma once

#include <string>

#include "agent/snapshot/snapshot_taker.h"
#include "common/http/router.h"

namespace vedette::agent {

// The HTTP doors of an agent: the text page for a real Prometheus (collect[], exclude[], source[];
// text, OpenMetrics or protobuf, whichever Accept asks for), a landing page that leads to it, and
// /-/healthy. The taker must outlive the router.
http::Router MakePages(SnapshotTaker& taker, std::string telemetry_path);

}  // namespace vedette::agent
