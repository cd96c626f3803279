#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/model/labels.h"
#include "common/model/metric_family.h"
#include "common/model/sample.h"
#include "server/storage/appender.h"

namespace vedette::remote {

// OtlpRequest reads an ExportMetricsServiceRequest of OpenTelemetry (published:
// opentelemetry/proto/metrics/v1/metrics.proto) in its protobuf form into what an Appender takes,
// by the rules of the OpenTelemetry specification's "Prometheus and OpenMetrics compatibility":
// names get their unit and, for monotonic sums, "_total"; service.namespace/service.name becomes
// job and service.instance.id instance; explicit histograms become _bucket, _sum and _count,
// summaries their quantiles, exponential histograms native ones; the other resource attributes become
// target_info. Start times are kept beside the samples.
//
// Delta temporality is not taken and counted in rejected(), as the protocol's partial success wants
// it. Not thread-safe.
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
  Status ReadExponential(std::string_view point, const std::string& name, const Attributes& target);
  void Add(const std::string& name, const Attributes& attributes, const Attributes& more,
           int64_t t_ms, double value, int64_t start_ms = 0);
  // The labels of a series; nothing, and a rejection, where an attribute has no text.
  std::optional<Labels> LabelsOf(const std::string& name, const Attributes& target,
                                 const Attributes& more);
  void Reject(uint64_t points, std::string_view reason);

  // One for each series; these stand still while they grow.
  std::deque<Sample> samples_;
  std::deque<storage::SeriesBatch::HistogramSample> histograms_;
  std::deque<int64_t> starts_;
  std::vector<storage::SeriesBatch> series_;
  std::vector<std::pair<std::string, Metadata>> metadata_;
  uint64_t rejected_ = 0;
  std::string rejected_reason_;
};

}  // namespace vedette::remote
