#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/flags/flags.h"
#include "common/http/limits.h"
#include "common/rpc/limits.h"
#include "server/promql/engine.h"

namespace vedette {

// Everything the command line of vedette-server says. Names and defaults are Prometheus' own where
// Prometheus has them.
struct ServerOptions {
  std::string config_file = "prometheus.yml";
  bool config_auto_reload = false;
  int64_t config_auto_reload_interval_ms = 30'000;
  std::string alertmanager_config_file;

  std::vector<std::string> web_listen = {"127.0.0.1:9090"};
  std::string web_config_file;
  std::string web_external_url;
  std::string web_route_prefix;
  std::string web_dashboards;
  std::string web_cors_origin = ".*";
  bool web_enable_lifecycle = false;
  bool web_enable_admin_api = false;
  bool web_enable_remote_write_receiver = false;
  bool web_enable_otlp_receiver = false;
  int64_t web_read_timeout_ms = 300'000;
  http::Limits web_limits;
  int64_t web_max_write_bytes = 32 << 20;
  int64_t web_max_decoded_write_bytes = 24 << 20;
  int64_t web_max_notification_readers = 16;
  int64_t web_search_max_limit = 10'000;

  std::vector<std::string> grpc_listen;
  std::string grpc_tls_ca;
  std::string grpc_tls_cert;
  std::string grpc_tls_key;
  bool grpc_insecure = false;
  rpc::Limits grpc_limits;

  bool web_enable_push = true;
  int64_t push_interval_ms = 0;  // 0: the configuration's global.scrape_interval.
  int64_t push_ttl_ms = 0;       // 0: pushed groups stay until they are deleted.
  int64_t push_max_groups = 10'000;
  bool push_disable_consistency_check = false;

  std::vector<std::string> enrol_listen;
  std::string enrol_ca_dir;
  double enrol_max_requests_per_second = 20;
  double enrol_max_requests_of_address = 0.5;

  std::string storage_path = "data/";
  int64_t retention_time_ms = 0;  // 0 and no size: 15 days.
  int64_t retention_size_bytes = 0;
  int64_t wal_sync_ms = 1000;  // 0: "always".
  int64_t column_cache_bytes = 64 << 20;
  int64_t max_series = 0;
  int64_t max_series_per_job = 0;
  std::vector<std::string> max_series_of_job;  // JOB=N
  int64_t max_future_ms = 600'000;             // 0: any.
  int64_t remote_read_sample_limit = 50'000'000;  // 0: none.
  int64_t remote_queue_bytes = 4LL << 30;  // 0: no bound.
  int64_t remote_rewind_ms = 10'000;
  bool strict_openmetrics = false;
  // Of jobs that set no limit of their own; 0: none.
  int64_t scrape_body_size_limit = 64 << 20;
  int64_t scrape_sample_limit = 50'000;
  int64_t scrape_label_limit = 64;
  int64_t scrape_label_value_length_limit = 4096;
  bool start_timestamps = false;  // Kept: --enable-feature=st-storage or use-start-timestamps.
  bool start_zero_samples = false;  // --enable-feature=created-timestamp-zero-ingestion.
  int64_t memory_limit_bytes = 0;  // 0: the control group's.

  int64_t for_outage_tolerance_ms = 3'600'000;
  int64_t for_grace_period_ms = 600'000;
  int64_t resend_delay_ms = 60'000;
  int64_t max_concurrent_evals = 4;
  int64_t notification_queue_capacity = 10'000;
  int64_t notification_batch_size = 256;

  promql::EngineOptions query;

  std::vector<std::string> features;
  std::string log_level = "info";
  std::string log_format = "logfmt";
};

// The command line itself; kept as long as the program, because /api/v1/status/flags shows it.
// Parse() fills the options, --query.* and --enable-feature into `query`.
class ServerFlags {
 public:
  ServerFlags();

  Result<flags::Flags::Outcome> Parse(int argc, const char* const* argv);

  const ServerOptions& options() const { return options_; }
  const std::vector<std::string>& ignored() const { return flags_.ignored(); }
  std::vector<std::pair<std::string, std::string>> All() const { return flags_.All(); }
  // Names given to --enable-feature that mean nothing here.
  const std::vector<std::string>& unknown_features() const { return unknown_features_; }

 private:
  void Bind();

  flags::Flags flags_;
  ServerOptions options_;
  int64_t query_max_samples_ = 50'000'000;
  int64_t query_max_concurrency_ = 20;
  int64_t query_max_memory_bytes_ = 400 << 20;
  int64_t query_max_waiting_ = 64;
  int64_t query_max_length_bytes_ = 1 << 20;
  int64_t query_max_depth_ = 1000;
  std::string wal_sync_ = "1s";
  std::vector<std::string> feature_lists_;
  std::vector<std::string> unknown_features_;
};

}  // namespace vedette
