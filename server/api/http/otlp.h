#pragma once

#include <string_view>

#include "common/metrics/metrics.h"
#include "server/api/http/call.h"
#include "server/storage/appender.h"

namespace vedette::api {

// /api/v1/otlp/v1/metrics: OpenTelemetry metrics in, in their protobuf form over HTTP. What is not
// taken is told in the answer's partial success; only a storage that refuses writes is 503, so that
// the sender tries again. Thread-safe.
class OtlpDoor {
 public:
  OtlpDoor(storage::Appender& appender, metrics::Registry& registry);

  Reply Metrics(const Call& call, std::string_view content_type);

 private:
  storage::Appender& appender_;
  metrics::Counter& samples_;
  metrics::Counter& rejected_;
};

}  // namespace vedette::api
