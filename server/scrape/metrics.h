#pragma once

#include <atomic>
#include <cstdint>

namespace vedette::scrape {

// What scraping counts about itself, under the names that Prometheus gives it; the composition root
// shows them on /metrics.
struct Metrics {
  using Count = std::atomic<uint64_t>;

  Count scrapes_total{0};          // vedette_target_scrapes_total
  Count scrapes_failed_total{0};   // vedette_target_scrapes_failed_total
  Count samples_scraped_total{0};  // vedette_target_samples_scraped_total
  Count lines_in_step_total{0};    // vedette_target_lines_in_step_total: known by their place alone
  Count scrapes_missed_total{0};   // vedette_target_scrapes_missed_total: the one before ran on
  Count backfilled_rows_total{0};  // vedette_target_backfilled_rows_total: gaps filled from agents

  Count exceeded_sample_limit_total{0};  // prometheus_target_scrapes_exceeded_sample_limit_total
  Count exceeded_body_size_limit_total{
      0};  // prometheus_target_scrapes_exceeded_body_size_limit_total
  Count exceeded_label_limits_total{
      0};  // prometheus_target_scrape_pool_exceeded_label_limits_total
  Count exceeded_bucket_limit_total{
      0};  // prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total
  Count exceeded_target_limit_total{
      0};                              // prometheus_target_scrape_pool_exceeded_target_limit_total
  Count sample_out_of_order_total{0};  // prometheus_target_scrapes_sample_out_of_order_total
  Count sample_duplicate_total{0};     // prometheus_target_scrapes_sample_duplicate_timestamp_total
  Count sample_out_of_bounds_total{0};  // prometheus_target_scrapes_sample_out_of_bounds_total
  Count series_refused_total{0};        // vedette_target_series_refused_total
  Count pools_total{0};                 // prometheus_target_scrape_pools_total
  Count pool_reloads_total{0};          // prometheus_target_scrape_pool_reloads_total
  Count sync_total{0};                  // prometheus_target_sync_length_seconds_count
  Count sync_microseconds_total{0};     // prometheus_target_sync_length_seconds_sum
  Count sync_failed_total{0};           // prometheus_target_sync_failed_total
  Count interval_count{0};              // prometheus_target_interval_length_seconds_count
  Count interval_ms_total{0};           // prometheus_target_interval_length_seconds_sum
};

}  // namespace vedette::scrape
