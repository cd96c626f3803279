#pragma once

#include <memory>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/metrics/metrics.h"
#include "server/remote/send/remote_write.h"
#include "server/storage/appender.h"
#include "server/tsdb/tsdb.h"

namespace vedette {

// Remote write out, with the HTTP client of the house as its carrier: TLS, basic, bearer, OAuth2
// and SigV4 as remote_write in prometheus.yml says. What is written goes on to `inner`.
Result<std::unique_ptr<remote::RemoteWrite>> OpenRemoteWrite(tsdb::Tsdb& db,
                                                             storage::Appender& inner,
                                                             uint64_t max_queue_bytes,
                                                             int64_t rewind_ms, const Clock& clock,
                                                             metrics::Registry& registry);

}  // namespace vedette
