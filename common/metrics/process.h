#pragma once

#include <string>

#include "common/metrics/metrics.h"

namespace vedette::metrics {

// AddProcessMetrics of metrics.h, with or without process_network_receive_bytes_total and
// process_network_transmit_bytes_total. These are the whole machine's, and to read them the kernel
// writes one of its longest files: who shows the machine's network anyway leaves them out.
void AddProcessMetrics(Registry& registry, std::string proc_root, bool network);

}  // namespace vedette::metrics
