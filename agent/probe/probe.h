#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agent/collector/collector.h"
#include "agent/probe/module.h"
#include "common/base/status.h"
#include "common/model/metric_family.h"

namespace vedette::agent {

// What one probe found: probe_success, probe_duration_seconds and the prober's own metrics.
struct ProbeResult {
  bool success = false;
  std::vector<MetricFamily> families;
  std::string log;  // What went wrong, a line each; for &debug=true.
};

// Waits at most the module's timeout, or `timeout_ms` if that is sooner or the module has none.
ProbeResult RunProbe(const ProbeModule& module, const std::string& target, int64_t timeout_ms);

// A target that is probed at every collection: --probe.target=MODULE=TARGET.
struct ProbeTarget {
  std::string module;
  std::string target;
};
Result<ProbeTarget> ParseProbeTarget(std::string_view text, const ProbeModules& modules);

// Its metrics carry the labels module and target. A target that is not well is a metric, not a
// failed collector.
std::unique_ptr<Collector> MakeProbeCollector(const ProbeModule& module, ProbeTarget target,
                                              int64_t timeout_ms);

}  // namespace vedette::agent
