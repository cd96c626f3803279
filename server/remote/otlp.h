#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/model/metric_family.h"
#include "common/model/sample.h"
#include "server/storage/appender.h"

namespace vedette::remote {

// OtlpRequest reads an ExportMetricsServiceRequest of OpenTelemetry (published:
// opentelemetry/proto/metrics/v1/metrics.proto) in its protobuf form into what an Appender takes,
// by the rules of the OpenTelemetry specification's "Prometheus and OpenMetrics compatibility":
// names get their unit and, for monotonic sums, "_total"; service.namespace/service.name becomes
// job and service.instance.id instance; explicit histograms become _bucket, _sum and _count,
// summaries their quantiles; the other resource attributes become target_info.
//
// Delta temporality and exponential histograms are not taken and counted in rejected(), as the
// protocol's partial success wants it. Not thread-safe.
class OtlpRequest {
 public:
  // INVALID_ARGUMENT: the bytes are no such message.
  Status Read(std::string_view body);

  // Valid until the next read.
  const std::vector<storage::SeriesBatch>& series() const { return series_; }
  const std::vector<std::pair<std::string, Metadata>>& metadata() const { return metadata_; }
  uint64_t rejected() const { return rejected_; }
  const std::string& rejected_reason() const { return rejected_reason_; }

 private:
  using Attributes = std::vector<std::pair<std::string, std::string>>;

  Status ReadResource(std::string_view message);
  Status ReadMetric(std::string_view message, const Attributes& target);
  Status ReadPoint(std::string_view point, uint32_t kind, const std::string& name,
                   const Attributes& target);
  void Add(const std::string& name, const Attributes& attributes, const Attributes& more,
           int64_t t_ms, double value);
  void Reject(uint64_t points, std::string_view reason);

  std::deque<Sample> samples_;  // One for each series; stands still while it grows.
  std::vector<storage::SeriesBatch> series_;
  std::vector<std::pair<std::string, Metadata>> metadata_;
  uint64_t rejected_ = 0;
  std::string rejected_reason_;
};

}  // namespace vedette::remote
