#pragma once

#include <cstdint>
#include <string>

#include "common/metrics/metrics.h"

namespace vedette::remote {

// How one destination counts itself, under the names that Prometheus' dashboards and alerts use
// (remote_name, url). The references are the registry's. Thread-safe.
struct SendMetrics {
  // One of the three kinds of piece, and metadata.
  struct Kind {
    metrics::Counter& sent;
    metrics::Counter& failed;
    metrics::Counter& retried;
    metrics::Gauge& pending;
  };

  SendMetrics(metrics::Registry& registry, const std::string& name, const std::string& url);

  Kind samples;
  Kind histograms;
  Kind exemplars;
  Kind metadata;
  metrics::Counter& bytes;
  metrics::Counter& metadata_bytes;
  metrics::Counter& enqueue_retries;
  metrics::Histogram& batch_seconds;
  metrics::Gauge& highest_sent;
  metrics::Gauge& shards;
  metrics::Gauge& shards_desired;
  metrics::Gauge& shards_min;
  metrics::Gauge& shards_max;
  metrics::Gauge& shard_capacity;
  metrics::Gauge& max_samples_per_send;

  // `reason`: dropped_series (relabelling), too_old (sample_age_limit), queue_full,
  // already_delivered (sent again after a restart or a lost answer, and refused).
  enum class Of : uint8_t { kSamples, kHistograms, kExemplars };
  void Dropped(Of of, const std::string& reason, uint64_t n);

 private:
  metrics::Registry& registry_;
  const std::string name_;
  const std::string url_;
};

}  // namespace vedette::remote
