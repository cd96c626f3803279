#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "server/storage/appender.h"

namespace vedette::scrape {

// What scraping counts about itself, under the names that Prometheus gives it; the composition root
// shows them on /metrics. What is counted by job or by interval is in Events.
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

  // What became of a commit.
  void Note(const storage::CommitStats& stats) {
    sample_out_of_order_total += stats.out_of_order;
    sample_duplicate_total += stats.duplicate;
    sample_out_of_bounds_total += stats.too_old + stats.too_far_ahead;
    series_refused_total += stats.series_limit;
  }
};

// What happens by job or by interval, handed out so that the metrics registry stays elsewhere. Called
// from the manager's threads, several at a time, and under none of its locks that a scrape waits for.
struct Events {
  // A scrape began, so many seconds after the one before it of the same target.
  std::function<void(int64_t interval_ms, double seconds)> began;
  // Discovered targets became targets of a job: how long it took, how many could not be made.
  std::function<void(const std::string& job, double seconds, uint64_t failed)> synced;
};

}  // namespace vedette::scrape
