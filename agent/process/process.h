#pragma once

#include <memory>
#include <string>

#include "agent/collector/collector.h"
#include "agent/process/naming.h"

namespace vedette::agent {

struct ProcessOptions {
  std::string procfs = "/proc";
  // Proportional memory from smaps_rollup: the kernel walks every page for it.
  bool smaps = false;
};

// Groups of processes under process-exporter's names, namedprocess_namegroup_*. Counters of a group
// go on when its processes end: they count what processes did since the agent first looked, and
// all that processes did that began later.
std::unique_ptr<Collector> MakeProcessCollector(ProcessNaming naming, ProcessOptions options);

}  // namespace vedette::agent
