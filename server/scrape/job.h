#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/config/prometheus.h"
#include "common/exposition/negotiate.h"
#include "common/model/labels.h"

namespace vedette::scrape {

// Relabel rules as a function: the changed labels, or nothing when a rule dropped them. What stands
// behind it is server/relabel; here it only has to be a pure function that any thread may call.
using Relabel = std::function<std::optional<Labels>(const Labels&)>;

// Limits of a job; 0: none. What goes beyond fails the whole scrape, as Prometheus does.
struct Limits {
  uint64_t body_size_bytes = 0;           // body_size_limit, after decompression.
  uint64_t samples = 0;                   // sample_limit, after metric relabelling.
  uint64_t labels = 0;                    // label_limit, __name__ included.
  uint64_t label_name_bytes = 0;          // label_name_length_limit
  uint64_t label_value_bytes = 0;         // label_value_length_limit
  uint64_t targets = 0;                   // target_limit
  uint64_t keep_dropped_targets = 0;      // keep_dropped_targets
  uint64_t native_histogram_buckets = 0;  // native_histogram_bucket_limit
  int32_t native_histogram_schema = 8;    // From native_histogram_min_bucket_factor.

  bool operator==(const Limits&) const = default;
};

// One scrape_config, as the loops need it: defaults filled in, rules compiled. JobFromConfig makes
// it.
struct Job {
  std::string name;
  int64_t interval_ms = 60'000;
  int64_t timeout_ms = 10'000;
  std::string scheme = "http";
  std::string metrics_path = "/metrics";
  // In the order of the file; of a name given several times only the first value can be relabelled.
  std::vector<std::pair<std::string, std::vector<std::string>>> params;
  bool honor_labels = false;
  bool honor_timestamps = true;
  bool track_timestamps_staleness = false;
  std::vector<exposition::Protocol> protocols = {
      exposition::Protocol::kOpenMetrics1_0_0, exposition::Protocol::kOpenMetrics0_0_1,
      exposition::Protocol::kText1_0_0, exposition::Protocol::kText0_0_4};
  std::optional<exposition::Protocol> fallback_protocol;
  std::string escaping = "allow-utf-8";
  bool legacy_names = false;  // metric_name_validation_scheme: legacy
  bool enable_compression = true;
  bool native_histograms = false;
  bool always_classic_histograms = false;
  bool convert_classic_histograms = false;  // convert_classic_histograms_to_nhcb
  bool extra_metrics = false;
  // Every rule of OpenMetrics is enforced; otherwise what Prometheus enforces.
  bool strict_openmetrics = false;
  Limits limits;
  // Start timestamps of what is scraped: kept beside the samples, or put in as samples of 0
  // (--enable-feature=st-storage, created-timestamp-zero-ingestion).
  bool start_timestamps = false;
  bool start_zero_samples = false;
  bool wants_starts() const { return start_timestamps || start_zero_samples; }

  // Told of every scrape that fails (scrape_failure_log_file). May be empty. Thread-safe.
  std::function<void(const std::string& url, const Status& why)> failed;

  Relabel relabel;         // relabel_configs; may be empty.
  Relabel metric_relabel;  // metric_relabel_configs; may be empty.

  // The whole scrape_config (but for discovery), for whoever makes sources: how to speak HTTP,
  // which certificates. Null for a job made by hand.
  std::shared_ptr<const config::ScrapeConfig> config;
  std::string fingerprint;  // Where there is no config: equal texts mean equal jobs.

  // A reload leaves alone what did not change; functions cannot be compared, what they were made of
  // can.
  bool SameAs(const Job& other) const {
    if (config == nullptr || other.config == nullptr) {
      return config == other.config && fingerprint == other.fingerprint;
    }
    return *config == *other.config && strict_openmetrics == other.strict_openmetrics;
  }
};

}  // namespace vedette::scrape
