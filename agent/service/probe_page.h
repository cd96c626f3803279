#pragma once

#include <string>

#include "agent/probe/module.h"
#include "common/http/router.h"

namespace vedette::agent {

// GET /probe?module=&target=[&debug=true], as blackbox_exporter has it, for a real Prometheus: the
// scrape's own timeout (X-Prometheus-Scrape-Timeout-Seconds) less half a second bounds the probe.
void AddProbePage(http::Router& router, ProbeModules modules);

}  // namespace vedette::agent
