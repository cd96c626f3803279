#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/model/labels.h"
#include "common/model/metric_family.h"

namespace vedette::push {

// What one push may bring. What goes beyond is refused whole, with the limit's name.
struct PushLimits {
  uint64_t samples = 50'000;
  uint64_t labels = 64;  // __name__ and the grouping labels included.
  uint64_t label_value_bytes = 4096;
};

// The body of a push: text 0.0.4 (also 1.0.0 and OpenMetrics), or delimited protobuf, by its
// Content-Type; none means text. Families come out by name, each sample with the grouping labels
// in place of its own of those names. INVALID_ARGUMENT for what is no exposition.
Result<std::vector<MetricFamily>> ReadPushBody(std::string_view body,
                                               std::string_view content_type, const Labels& key,
                                               const PushLimits& limits);

// What Pushgateway refuses although it can be read: samples with timestamps, and the same series
// twice.
Status CheckPushed(const std::vector<MetricFamily>& families);

}  // namespace vedette::push
