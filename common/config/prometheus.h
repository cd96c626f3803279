#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/config/discovery.h"
#include "common/config/http_client.h"
#include "common/config/notice.h"
#include "common/config/relabel.h"
#include "common/config/secret.h"
#include "common/model/labels.h"

// prometheus.yml, typed. The names are Prometheus'; durations are in milliseconds, sizes in bytes,
// and 0 means "no limit" where it does there. Everything inherited from `global` is already filled
// in, and every path is absolute, so a module needs only its own part.
namespace vedette::config {

enum class ScrapeProtocol : uint8_t {
  kPrometheusProto,
  kOpenMetricsText1_0_0,
  kOpenMetricsText0_0_1,
  kPrometheusText1_0_0,
  kPrometheusText0_0_4,
};
std::string_view ScrapeProtocolName(ScrapeProtocol protocol);  // "PrometheusText0.0.4"

enum class NameValidation : uint8_t { kUtf8, kLegacy };
enum class NameEscaping : uint8_t { kAllowUtf8, kUnderscores, kDots, kValues };

// What `global` and each scrape config both have.
struct ScrapeLimits {
  uint64_t body_size_limit_bytes = 0;
  uint64_t sample_limit = 0;
  uint64_t label_limit = 0;
  uint64_t label_name_length_limit = 0;
  uint64_t label_value_length_limit = 0;
  uint64_t target_limit = 0;
  uint64_t keep_dropped_targets = 0;

  bool operator==(const ScrapeLimits&) const = default;
};

struct GlobalConfig {
  int64_t scrape_interval_ms = 60'000;
  int64_t scrape_timeout_ms = 10'000;
  int64_t evaluation_interval_ms = 60'000;
  int64_t rule_query_offset_ms = 0;
  Labels external_labels;  // Environment variables already put in.
  std::string query_log_file;
  std::string scrape_failure_log_file;
  std::vector<ScrapeProtocol> scrape_protocols;
  ScrapeLimits limits;
  NameValidation name_validation = NameValidation::kUtf8;
  NameEscaping name_escaping = NameEscaping::kAllowUtf8;
  bool scrape_native_histograms = false;
  bool convert_classic_histograms_to_nhcb = false;
  bool always_scrape_classic_histograms = false;
  bool extra_scrape_metrics = false;
  // Vedette's own: this server scrapes the targets of shard `shard` of `modulus`. 0: all of them.
  uint64_t modulus = 0;
  uint64_t shard = 0;

  bool operator==(const GlobalConfig&) const = default;
};

struct ScrapeConfig {
  std::string job_name;
  int64_t scrape_interval_ms = 0;
  int64_t scrape_timeout_ms = 0;
  std::string metrics_path = "/metrics";
  // http, https, or Vedette's own: grpc, an agent pulled over mTLS (default port 9465; the
  // certificates come from http.tls).
  std::string scheme = "http";
  std::map<std::string, std::vector<std::string>> params;
  bool honor_labels = false;
  bool honor_timestamps = true;
  bool track_timestamps_staleness = false;
  std::vector<ScrapeProtocol> scrape_protocols;
  std::optional<ScrapeProtocol> fallback_scrape_protocol;
  bool enable_compression = true;
  std::string scrape_failure_log_file;
  ScrapeLimits limits;
  uint64_t native_histogram_bucket_limit = 0;
  double native_histogram_min_bucket_factor = 0;
  bool scrape_native_histograms = false;
  bool convert_classic_histograms_to_nhcb = false;
  bool always_scrape_classic_histograms = false;
  bool extra_scrape_metrics = false;
  uint64_t modulus = 0;  // As in GlobalConfig.
  uint64_t shard = 0;
  NameValidation name_validation = NameValidation::kUtf8;
  NameEscaping name_escaping = NameEscaping::kAllowUtf8;
  HttpClientConfig http;
  DiscoveryConfig discovery;
  std::vector<RelabelConfig> relabel_configs;
  std::vector<RelabelConfig> metric_relabel_configs;
  std::string file;  // Where it was read: prometheus.yml or a scrape_config_file.
  int line = 0;

  bool operator==(const ScrapeConfig&) const = default;
};
inline constexpr int kAgentDefaultPort = 9465;

struct Sigv4Config {
  std::string region;
  std::string access_key;
  Secret secret_key;
  std::string profile;
  std::string role_arn;
  std::string external_id;
  bool use_fips_sts_endpoint = false;
  std::string service_name;

  bool operator==(const Sigv4Config&) const = default;
};

struct AlertmanagerEndpointConfig {
  int64_t timeout_ms = 10'000;
  std::string api_version = "v2";
  std::string path_prefix;
  std::string scheme = "http";
  std::optional<Sigv4Config> sigv4;
  HttpClientConfig http;
  DiscoveryConfig discovery;
  std::vector<RelabelConfig> relabel_configs;
  std::vector<RelabelConfig> alert_relabel_configs;

  bool operator==(const AlertmanagerEndpointConfig&) const = default;
};

struct AlertingConfig {
  std::vector<RelabelConfig> alert_relabel_configs;
  std::vector<AlertmanagerEndpointConfig> alertmanagers;

  bool operator==(const AlertingConfig&) const = default;
};

struct QueueConfig {
  int64_t capacity = 10'000;
  int64_t max_shards = 50;
  int64_t min_shards = 1;
  int64_t max_samples_per_send = 2'000;
  int64_t batch_send_deadline_ms = 5'000;
  int64_t min_backoff_ms = 30;
  int64_t max_backoff_ms = 5'000;
  bool retry_on_http_429 = false;
  int64_t sample_age_limit_ms = 0;

  bool operator==(const QueueConfig&) const = default;
};

struct MetadataConfig {
  bool send = true;
  int64_t send_interval_ms = 60'000;
  int64_t max_samples_per_send = 2'000;

  bool operator==(const MetadataConfig&) const = default;
};

struct RemoteWriteConfig {
  std::string url;
  bool version2 = false;  // protobuf_message: io.prometheus.write.v2.Request
  int64_t remote_timeout_ms = 30'000;
  std::map<std::string, std::string> headers;
  std::vector<RelabelConfig> write_relabel_configs;
  std::string name;
  bool send_exemplars = false;
  bool send_native_histograms = false;
  bool round_robin_dns = false;
  QueueConfig queue;
  MetadataConfig metadata;
  std::optional<Sigv4Config> sigv4;
  HttpClientConfig http;  // enable_http2 is false unless asked for.

  bool operator==(const RemoteWriteConfig&) const = default;
};

struct RemoteReadConfig {
  std::string url;
  std::string name;
  Labels required_matchers;
  int64_t remote_timeout_ms = 60'000;
  std::map<std::string, std::string> headers;
  bool read_recent = false;
  bool filter_external_labels = true;
  uint64_t chunked_read_limit_bytes = 50'000'000;
  HttpClientConfig http;

  bool operator==(const RemoteReadConfig&) const = default;
};

// Unset where the file is silent, so that the --storage.tsdb.retention.* flags may speak.
// Vedette's own: how long the series of a selector are kept, instead of as long as the others.
struct RetentionRuleConfig {
  std::string match;  // A selector: {job="debug"}.
  int64_t time_ms = 0;

  bool operator==(const RetentionRuleConfig&) const = default;
};

struct StorageConfig {
  int64_t out_of_order_time_window_ms = 0;
  std::optional<int64_t> retention_time_ms;
  std::optional<uint64_t> retention_size_bytes;
  std::optional<double> retention_percentage;
  std::vector<RetentionRuleConfig> retention_rules;
  std::vector<int64_t> rollups_ms;  // Vedette's own: lengths of stretches. Empty: there are none.
  int64_t max_exemplars = 100'000;

  bool operator==(const StorageConfig&) const = default;
};

struct TracingConfig {
  std::string client_type = "grpc";
  std::string endpoint;
  double sampling_fraction = 0;
  bool insecure = false;
  std::map<std::string, std::string> headers;
  std::string compression;
  int64_t timeout_ms = 10'000;
  TlsConfig tls;

  bool operator==(const TracingConfig&) const = default;
};

enum class OtlpTranslation : uint8_t {
  kUnderscoreEscapingWithSuffixes,
  kNoUtf8EscapingWithSuffixes,
  kUnderscoreEscapingWithoutSuffixes,
  kNoTranslation,
};

struct OtlpConfig {
  bool promote_all_resource_attributes = false;
  std::vector<std::string> promote_resource_attributes;
  std::vector<std::string> ignore_resource_attributes;
  OtlpTranslation translation = OtlpTranslation::kUnderscoreEscapingWithSuffixes;
  bool keep_identifying_resource_attributes = false;
  bool convert_histograms_to_nhcb = false;
  bool promote_scope_metadata = false;
  bool label_name_underscore_sanitization = true;
  bool label_name_preserve_multiple_underscores = true;

  bool operator==(const OtlpConfig&) const = default;
};

struct PrometheusConfig {
  std::string file;
  std::string text;  // As read; holds secrets in clear: ToYaml() is what may be shown.
  GlobalConfig global;
  std::vector<std::string> rule_globs;  // As written, absolute.
  std::vector<std::string> rule_files;  // What they matched when loaded, sorted within a glob.
  std::vector<std::string> scrape_config_globs;
  std::vector<std::string> scrape_config_files;
  std::vector<ScrapeConfig> scrape_configs;  // Those of scrape_config_files come last.
  AlertingConfig alerting;
  std::vector<RemoteWriteConfig> remote_write;
  std::vector<RemoteReadConfig> remote_read;
  StorageConfig storage;
  std::optional<TracingConfig> tracing;
  OtlpConfig otlp;
  ConfigNotices notices;

  bool operator==(const PrometheusConfig&) const = default;
};

struct LoadOptions {
  bool ignore_unknown_fields = false;  // promtool's --ignore-unknown-fields.
};

// Reads the file and everything it names. The first mistake is the answer:
// "prometheus.yml:12:5: scrape_configs[1].scrape_timeout: reason, remedy".
Result<PrometheusConfig> LoadPrometheusConfig(const std::string& path, LoadOptions options = {});

// The same from memory: `file` is named in errors, and relative paths start at its directory.
Result<PrometheusConfig> ParsePrometheusConfig(std::string_view text, const std::string& file,
                                               LoadOptions options = {});

// The configuration in effect, defaults filled in, every secret printed as <secret>.
std::string ToYaml(const PrometheusConfig& config);

// Only one scrape config, for the pool page; "" where there is no such job.
std::string ToYaml(const PrometheusConfig& config, std::string_view job_name);

}  // namespace vedette::config
