#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "common/base/clock.h"
#include "common/http/server.h"
#include "common/metrics/metrics.h"
#include "server/promql/engine.h"
#include "server/ruler/rule.h"
#include "server/scrape/metrics.h"
#include "server/tsdb/tsdb.h"

namespace vedette {

// What the parts tell of themselves while they work, put into the registry under the names that
// dashboards and alerts for Prometheus read: durations above all. What the parts count themselves is
// in self_metrics.h. Each is made once; registry and clock outlive what is made. Durations are there
// twice, as in Prometheus: as a summary with quantiles, and as a histogram whose name says so.

// prometheus_engine_query_duration_seconds by slice.
std::function<void(const promql::QueryStats&)> CountQueries(metrics::Registry& registry,
                                                            const Clock& clock);
// prometheus_target_interval_length_seconds, prometheus_target_sync_length_seconds and their kin.
scrape::Events CountScrapes(metrics::Registry& registry, const Clock& clock);
// prometheus_rule_evaluation_duration_seconds, prometheus_rule_group_duration_seconds, and the
// templates that were expanded.
ruler::Events CountRules(metrics::Registry& registry, const Clock& clock);
// prometheus_tsdb_wal_fsync_duration_seconds, prometheus_tsdb_compaction_duration_seconds.
void CountStorage(metrics::Registry& registry, const Clock& clock, tsdb::TsdbOptions& options);
// prometheus_http_*; paths below `prefix`.
std::function<void(const http::ServerOptions::Access&)> CountHttp(metrics::Registry& registry,
                                                                  const std::string& prefix);

// A duration as Go prints it, "15s", "1m0s", "1h30m0s", "1.5s": the label `interval`.
std::string GoDuration(int64_t ms);

}  // namespace vedette
