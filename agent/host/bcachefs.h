#pragma once

#include "agent/collector/collector.h"
#include "agent/host/host_files.h"
#include "common/base/status.h"

namespace vedette::agent {

// The collector bcachefs: what mounted bcachefs file systems say of themselves in /sys/fs/bcachefs.
Status CollectBcachefs(const Host& host, MetricSink& sink);

}  // namespace vedette::agent
