#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/metrics/metrics.h"
#include "server/api/http/call.h"
#include "server/remote/series_cache.h"
#include "server/storage/appender.h"

namespace vedette::api {

// /api/v1/write: remote write 1.0 and 2.0 in, snappy already undone. What cannot be stored is a
// fault of the sender and answered with 400, after everything else has been stored; only a storage
// that refuses writes is 503, so that the sender tries again. Thread-safe.
class WriteDoor {
 public:
  // `max_decoded_bytes`: of what is read from one body, as in remote::WriteRequest.
  WriteDoor(storage::Appender& appender, metrics::Registry& registry, size_t max_decoded_bytes);

  // `content_type` as the request has it; empty means 1.0, as old senders have it.
  Reply Write(const Call& call, std::string_view content_type);

 private:
  storage::Appender& appender_;
  const size_t max_decoded_bytes_;
  remote::SeriesCache cache_;
  metrics::Counter& samples_;
  metrics::Counter& histograms_;
  metrics::Counter& exemplars_;
  metrics::Counter& refused_;
  metrics::Counter& invalid_series_;
};

}  // namespace vedette::api
