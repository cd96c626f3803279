#pragma once

#include <string>

#include "common/metrics/metrics.h"
#include "server/discovery/http_port.h"
#include "server/discovery/provider.h"

namespace vedette {

// Between discovery and the libraries it does not know: common/http's client behind its port, and
// the prometheus_sd_* metrics and the log behind its events. `name` is "scrape" or "notify". The
// registry outlives the events.
discovery::HttpPort MakeDiscoveryHttp();
discovery::Events MakeDiscoveryEvents(metrics::Registry& registry, const std::string& name);

}  // namespace vedette
