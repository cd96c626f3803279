#pragma once

#include "common/base/status.h"
#include "common/config/prometheus.h"
#include "server/options.h"
#include "server/tsdb/tsdb.h"

namespace vedette {

// Budgets, retention by rules and by a share of the disk, and how far ahead a sample may be: what
// the flags and the storage section of the configuration say, put into the storage's options.
Status LimitStorage(const ServerOptions& options, const config::StorageConfig& config,
                    tsdb::TsdbOptions& storage);

}  // namespace vedette
