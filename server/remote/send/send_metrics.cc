#include "server/remote/send/send_metrics.h"

#include "common/base/strings.h"

namespace vedette::remote {
namespace {

constexpr std::string_view kPrefix = "prometheus_remote_storage_";

metrics::Counter& CounterOf(metrics::Registry& r, std::string_view name, std::string_view help,
                            const std::string& remote, const std::string& url) {
  return r.AddCounterFamily(StrCat(kPrefix, name), help, {"remote_name", "url"})
      .With({remote, url});
}

metrics::Gauge& GaugeOf(metrics::Registry& r, std::string_view name, std::string_view help,
                        const std::string& remote, const std::string& url) {
  return r.AddGaugeFamily(StrCat(kPrefix, name), help, {"remote_name", "url"}).With({remote, url});
}

SendMetrics::Kind KindOf(metrics::Registry& r, const std::string& what, const std::string& remote,
                         const std::string& url) {
  return {CounterOf(r, what + "_total", StrCat("What was sent: ", what, "."), remote, url),
          CounterOf(r, what + "_failed_total",
                    StrCat("Refused for good by the receiver: ", what, "."), remote, url),
          CounterOf(r, what + "_retried_total",
                    StrCat("Sent again after a failure that may pass: ", what, "."), remote, url),
          GaugeOf(r, what + "_pending", StrCat("Read from the queue and not yet delivered: ", what),
                  remote, url)};
}

}  // namespace

SendMetrics::SendMetrics(metrics::Registry& registry, const std::string& name,
                         const std::string& url)
    : samples(KindOf(registry, "samples", name, url)),
      histograms(KindOf(registry, "histograms", name, url)),
      exemplars(KindOf(registry, "exemplars", name, url)),
      metadata(KindOf(registry, "metadata", name, url)),
      bytes(CounterOf(registry, "bytes_total", "Bytes of bodies sent, compressed.", name, url)),
      metadata_bytes(CounterOf(registry, "metadata_bytes_total",
                               "Bytes of metadata sent, compressed.", name, url)),
      enqueue_retries(CounterOf(registry, "enqueue_retries_total",
                                "Waits of the reader for a shard that was full.", name, url)),
      batch_seconds(
          registry
              .AddHistogramFamily(
                  "prometheus_remote_storage_sent_batch_duration_seconds",
                  "Duration of a request of remote write.", {"remote_name", "url"},
                  {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 120, 300})
              .With({name, url})),
      highest_sent(GaugeOf(registry, "queue_highest_sent_timestamp_seconds",
                           "The newest instant that was delivered.", name, url)),
      shards(GaugeOf(registry, "shards", "Shards that send in parallel.", name, url)),
      shards_desired(GaugeOf(registry, "shards_desired",
                             "Shards that the rates of the last minutes call for.", name, url)),
      shards_min(GaugeOf(registry, "shards_min", "queue_config.min_shards.", name, url)),
      shards_max(GaugeOf(registry, "shards_max", "queue_config.max_shards.", name, url)),
      shard_capacity(GaugeOf(registry, "shard_capacity", "queue_config.capacity.", name, url)),
      max_samples_per_send(GaugeOf(registry, "max_samples_per_send",
                                   "queue_config.max_samples_per_send.", name, url)),
      registry_(registry),
      name_(name),
      url_(url) {}

void SendMetrics::Dropped(Of of, const std::string& reason, uint64_t n) {
  if (n == 0) return;
  const char* what = of == Of::kSamples      ? "samples"
                     : of == Of::kHistograms ? "histograms"
                                             : "exemplars";
  registry_
      .AddCounterFamily(StrCat(kPrefix, what, "_dropped_total"),
                        StrCat("Never sent, by reason: ", what, "."),
                        {"remote_name", "url", "reason"})
      .With({name_, url_, reason})
      .Add(n);
}

}  // namespace vedette::remote
