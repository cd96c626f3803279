#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "common/base/status.h"
#include "common/model/metric_family.h"

namespace vedette::exposition {

// Whether a family's histogram keeps its classic buckets where it also has native ones.
struct ProtobufOptions {
  // Native histograms are taken; otherwise only classic buckets are.
  bool native_histograms = true;
  // Classic buckets are kept beside native ones (always_scrape_classic_histograms).
  bool always_classic = false;
};

// Reads length-delimited io.prometheus.client.MetricFamily messages, one after the other, and gives
// each to `visit` (which may move from it) until it returns an error. Classic histograms and
// summaries come out flat: _bucket, _sum, _count and quantile samples; native ones as one sample
// with a Histogram in float form. Every byte may be hostile.
Status ParseProtobuf(std::string_view body, const ProtobufOptions& options,
                     const std::function<Status(MetricFamily&)>& visit);

// The reverse. Flat samples are put together again by their labels, le and quantile. Metrics without
// the label `blank` have it with an empty value.
std::string WriteProtobuf(std::span<const MetricFamily> families, std::string_view blank = {});

// One message, for AgentService.Collect: the bytes of a MetricFamily without length in front.
std::string SerializeFamily(const MetricFamily& family);

}  // namespace vedette::exposition
