#pragma once

#include <functional>

#include "common/http/server.h"
#include "common/metrics/metrics.h"
#include "server/memory_limit.h"
#include "server/promql/engine.h"
#include "server/ruler/ruler.h"
#include "server/scrape/scrape_manager.h"
#include "server/tsdb/tsdb.h"

namespace vedette {

// Shows what the parts count about themselves under the names that dashboards and alerts for
// Prometheus read. Everything outlives the registry.
void AddSelfMetrics(metrics::Registry& registry, const tsdb::Tsdb& db,
                    const scrape::ScrapeManager& scrapes, const ruler::Ruler& rules,
                    const promql::Engine& engine, const MemoryLimit& memory,
                    std::function<http::Server::Stats()> connections);

}  // namespace vedette
