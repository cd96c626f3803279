#include "server/options.h"

#include <utility>

#include "common/base/strings.h"
#include "common/config/url_secrets.h"
#include "common/model/duration.h"
#include "server/version.h"

namespace vedette {

ServerFlags::ServerFlags()
    : flags_(
          "vedette-server",
          "Scrapes agents and exporters, stores what they say, answers PromQL, evaluates rules and "
          "sends alerts. Reads prometheus.yml, rule files and alertmanager.yml as they are.",
          kVersion) {
  Bind();
}

void ServerFlags::Bind() {
  ServerOptions& o = options_;
  flags::Flags& f = flags_;

  f.Group("Configuration");
  f.Add("config.file", &o.config_file, "What to scrape and which rules to load: a prometheus.yml.");
  f.Add("config.auto-reload", &o.config_auto_reload,
        "Reload when the configuration or a file that it names changes.");
  f.AddDuration("config.auto-reload-interval", &o.config_auto_reload_interval_ms,
                "How often to look for changes.");
  f.Add("alertmanager.config.file", &o.alertmanager_config_file,
        "Where alerts go: an alertmanager.yml. Without it they are seen and silenced on the page, and "
        "only the Alertmanagers that --config.file names are told.");

  f.Group("Page and HTTP API");
  f.Add("web.listen-address", &o.web_listen,
        "Address of the page and the API; repeatable. Loopback unless you say otherwise: \":9090\" "
        "opens it to the network, and then --web.config.file should ask for TLS and a password.");
  f.Add("web.config.file", &o.web_config_file,
        "TLS and users of the HTTP door: Prometheus' web configuration file.");
  f.Add("web.external-url", &o.web_external_url,
        "Under which URL people reach this server; used in links of alerts.");
  f.Add("web.route-prefix", &o.web_route_prefix,
        "Path in front of every page and endpoint; by default the path of --web.external-url.");
  f.Add("web.dashboards", &o.web_dashboards,
        "Directory of dashboards: Grafana's JSON files, read as they are and looked at again at every "
        "request.");
  f.Add("web.cors.origin", &o.web_cors_origin,
        "Origins (a regular expression) whose pages may read the API.");
  f.Add("web.enable-lifecycle", &o.web_enable_lifecycle, "Allow POST /-/reload and POST /-/quit.");
  f.Add("web.enable-admin-api", &o.web_enable_admin_api,
        "Allow deleting series, snapshots and compaction under /api/v1/admin.");
  f.Add("web.enable-remote-write-receiver", &o.web_enable_remote_write_receiver,
        "Accept remote write (1.0 and 2.0) on /api/v1/write.");
  f.Add("web.enable-otlp-receiver", &o.web_enable_otlp_receiver,
        "Take OpenTelemetry metrics in at /api/v1/otlp/v1/metrics.");
  f.Add("web.enable-push", &o.web_enable_push,
        "Take pushes as Pushgateway does, on /metrics/job/...; --no-web.enable-push closes it.");
  f.AddDuration("web.read-timeout", &o.web_read_timeout_ms, "How long an idle connection is kept.");
  http::AddLimitFlags(f, &o.web_limits);
  f.AddSize("web.max-write-size", &o.web_max_write_bytes,
            "Largest body of a remote write or OTLP request, as it comes and unpacked. A write may "
            "take up to four times as much memory.");
  f.AddSize("web.max-decoded-write-size", &o.web_max_decoded_write_bytes,
            "Most memory for the samples of one remote write: two bytes as it comes can be hundreds.");
  f.Add("web.max-notifications-subscribers", &o.web_max_notification_readers,
        "Most readers of /api/v1/notifications/live at one time.");
  f.Add("web.search.max-limit", &o.web_search_max_limit,
        "Most results of one /api/v1/search request.");

  f.Group("Limits of scrapes, where a job sets none (0: no limit)");
  f.AddSize("scrape.body-size-limit", &o.scrape_body_size_limit,
            "Largest body, after decompression: body_size_limit.");
  f.Add("scrape.sample-limit", &o.scrape_sample_limit, "Most samples of a scrape: sample_limit.");
  f.Add("scrape.label-limit", &o.scrape_label_limit, "Most labels of a sample: label_limit.");
  f.AddSize("scrape.label-value-length-limit", &o.scrape_label_value_length_limit,
            "Longest value of a label, in bytes: label_value_length_limit.");

  f.Group("Pushed metrics");
  f.AddDuration("push.interval", &o.push_interval_ms,
                "How often pushed values are stored again, so that queries see them. 0: "
                "global.scrape_interval.");
  f.AddDuration("push.ttl", &o.push_ttl_ms,
                "How long a pushed group lives after its last push, unless the push says ?ttl=. 0: "
                "until it is deleted.");
  f.Add("push.max-groups", &o.push_max_groups, "Most groups that are kept at one time.");
  f.Add("push.disable-consistency-check", &o.push_disable_consistency_check,
        "Take pushes whose types contradict those of other groups.");

  f.Group("gRPC");
  f.Add("grpc.listen-address", &o.grpc_listen,
        "Address of QueryService; repeatable. Always mutual TLS, unless --grpc.insecure.");
  f.Add("grpc.tls.ca", &o.grpc_tls_ca,
        "Certificate of the CA whose certificates are accepted (vedettectl ca init makes one).");
  f.Add("grpc.tls.cert", &o.grpc_tls_cert, "This server's certificate, role server.");
  f.Add("grpc.tls.key", &o.grpc_tls_key, "Its private key.");
  f.Add("grpc.insecure", &o.grpc_insecure,
        "No TLS and no roles on the gRPC door. For a test on one machine.");
  rpc::AddLimitFlags(f, &o.grpc_limits);

  f.Add("enrol.listen-address", &o.enrol_listen,
        "Address where nodes with a join token get their certificate; repeatable. Off by default; "
        "port 9467 by convention.");
  f.Add("enrol.ca-dir", &o.enrol_ca_dir,
        "The CA that signs them: the folder of vedettectl ca init and token create.");
  f.Add("enrol.max-requests-per-second", &o.enrol_max_requests_per_second,
        "Most requests of all nodes at the enrolment door, in a burst those of ten seconds.");
  f.Add("enrol.max-requests-per-second-of-address", &o.enrol_max_requests_of_address,
        "The same of one address, in a burst those of 20 seconds.");

  f.Group("Storage");
  f.Add("storage.tsdb.path", &o.storage_path, "Folder of everything that is kept.");
  f.AddDuration("storage.tsdb.retention.time", &o.retention_time_ms,
                "How long samples are kept. 0 with no size given is 15d.");
  f.AddSize("storage.tsdb.retention.size", &o.retention_size_bytes,
            "Most bytes on disk; the oldest go first. 0: no limit.");
  f.Add(
      "storage.wal-sync", &wal_sync_,
      "What a power cut may cost: a duration, or \"always\" to wait for the disk on every commit. "
      "kill -9 never costs anything.");
  f.AddSize("storage.column-cache", &o.column_cache_bytes,
            "Memory for decoded samples of what rules and dashboards ask again and again. 0: none.");
  f.Add("storage.max-series", &o.max_series,
        "Most series in memory; beyond it new ones are refused. 0: no limit.");
  f.Add("storage.max-series-per-job", &o.max_series_per_job, "The same for each job. 0: no limit.");
  f.Add("storage.max-series-of-job", &o.max_series_of_job,
        "JOB=N: the same for one job, instead of --storage.max-series-per-job; repeatable.");
  f.AddDuration("storage.max-future", &o.max_future_ms,
                "How far ahead of this machine's clock a sample may be; beyond it the sample is "
                "refused, so that a wrong clock cannot keep honest samples out. 0s: any.");

  f.Add("storage.remote.read-sample-limit", &o.remote_read_sample_limit,
        "Most samples in the answer to one remote read. 0: no limit.");
  f.AddSize("storage.remote.queue-size", &o.remote_queue_bytes,
            "Most bytes that wait for remote write; beyond it the oldest are dropped, and counted. "
            "0: no limit.");
  f.AddDuration("storage.remote.rewind", &o.remote_rewind_ms,
                "When a receiver of remote write was gone, what it had acknowledged so shortly "
                "before is sent once more, because some acknowledge what they hold only in memory. "
                "0s: never.");
  f.Add(
      "scrape.strict-openmetrics", &o.strict_openmetrics,
      "Refuse bodies that break any rule of OpenMetrics, not only those that Prometheus enforces.");

  f.Group("Rules and alerts");
  f.AddDuration("rules.alert.for-outage-tolerance", &o.for_outage_tolerance_ms,
                "How long an outage may be for the \"for\" state of alerts to be restored.");
  f.AddDuration("rules.alert.for-grace-period", &o.for_grace_period_ms,
                "Least time between restored and firing.");
  f.AddDuration("rules.alert.resend-delay", &o.resend_delay_ms,
                "Least time between two notices of one alert to an Alertmanager.");
  f.Add("rules.max-concurrent-evals", &o.max_concurrent_evals,
        "Most rule groups evaluated at one time.");
  f.Add("alertmanager.notification-queue-capacity", &o.notification_queue_capacity,
        "Alerts waiting for an outside Alertmanager.");
  f.Add("alertmanager.notification-batch-size", &o.notification_batch_size,
        "Most alerts in one request to it.");

  f.Group("Queries");
  f.AddDuration("query.lookback-delta", &o.query.lookback_ms,
                "How far back a value is still good.");
  f.AddDuration("query.timeout", &o.query.timeout_ms, "Longest time a query may take.");
  f.Add("query.max-concurrency", &query_max_concurrency_, "Most queries at one time.");
  f.Add("query.max-waiting", &query_max_waiting_,
        "Most queries that wait for their turn; more are refused with 503.");
  f.AddSize("query.max-length", &query_max_length_bytes_, "Longest text of a query.");
  f.Add("query.max-depth", &query_max_depth_,
        "Most levels of a query's tree, and a quarter as many brackets within each other. At most 1000, "
        "which fits the stack of a thread.");
  f.Add("query.max-samples", &query_max_samples_,
        "Most samples a query may hold in memory; beyond it the query fails.");
  f.AddSize("query.max-memory", &query_max_memory_bytes_,
            "Most memory that one query may hold; beyond it the query fails. 0: no limit.");
  f.AddSize("memory.limit", &o.memory_limit_bytes,
            "Memory of the whole process above which queries are refused with 503 while samples go "
            "on being taken in. 0: what the control group allows, less a tenth.");

  f.Group("Other");
  f.Add("enable-feature", &feature_lists_,
        "Comma separated: promql-experimental-functions, promql-extended-range-selectors, "
        "promql-binop-fill-modifiers, promql-delayed-name-removal, type-and-unit-labels, "
        "st-storage (keep start timestamps), use-start-timestamps (and look at them in rate() and "
        "its kin), created-timestamp-zero-ingestion (a sample of 0 at the start of what is scraped). "
        "Repeatable.");
  f.AddChoice("log.level", &o.log_level, {"debug", "info", "warn", "error"},
              "Least important lines that are logged.");
  f.AddChoice("log.format", &o.log_format, {"logfmt", "json"}, "How a line looks.");

  // From old unit files: known, without meaning here.
  for (const char* name : {"web.console.templates",
                           "web.console.libraries",
                           "web.user-assets",
                           "web.page-title",
                           "web.remote-write-receiver.accepted-protobuf-messages",
                           "storage.tsdb.min-block-duration",
                           "storage.tsdb.max-block-duration",
                           "storage.tsdb.wal-segment-size",
                           "storage.tsdb.wal-compression-type",
                           "storage.tsdb.head-chunks-write-queue-size",
                           "storage.tsdb.samples-per-chunk",
                           "storage.tsdb.block-reload-interval",
                           "storage.remote.flush-deadline",
                           "storage.remote.read-concurrent-limit",
                           "storage.remote.read-max-bytes-in-frame",
                           "scrape.timestamp-tolerance",
                           "scrape.discovery-reload-interval",
                           "auto-gomemlimit.ratio"}) {
    f.AddIgnored(name, true);
  }
  for (const char* name :
       {"storage.tsdb.no-lockfile", "storage.tsdb.wal-compression",
        "storage.tsdb.allow-overlapping-blocks", "storage.tsdb.allow-overlapping-compaction",
        "auto-gomaxprocs", "auto-gomemlimit", "scrape.adjust-timestamps",
        "alertmanager.drain-notification-queue-on-shutdown"}) {
    f.AddIgnored(name, false);
  }
}

Result<flags::Flags::Outcome> ServerFlags::Parse(int argc, const char* const* argv) {
  VEDETTE_ASSIGN_OR_RETURN(flags::Flags::Outcome outcome, flags_.Parse(argc, argv));
  if (outcome.exit) return outcome;
  ServerOptions& o = options_;
  if (query_max_samples_ <= 0 || query_max_concurrency_ <= 0) {
    return InvalidArgument("--query.max-samples and --query.max-concurrency must be above 0");
  }
  VEDETTE_RETURN_IF_ERROR(http::CheckLimits(o.web_limits));
  if (o.web_max_write_bytes <= 0 || o.web_max_decoded_write_bytes <= 0) {
    return InvalidArgument(
        "--web.max-write-size and --web.max-decoded-write-size must be above 0");
  }
  if (query_max_length_bytes_ <= 0 || query_max_waiting_ < 0 || query_max_waiting_ > 10'000) {
    return InvalidArgument("--query.max-length must be above 0, --query.max-waiting from 0 to 10000");
  }
  if (const int64_t most = promql::EngineOptions().max_depth;
      query_max_depth_ < 4 || query_max_depth_ > most) {
    return InvalidArgument(StrCat("--query.max-depth=", query_max_depth_, ": from 4 to ", most));
  }
  if (o.enrol_max_requests_per_second <= 0 || o.enrol_max_requests_of_address <= 0) {
    return InvalidArgument(
        "--enrol.max-requests-per-second and --enrol.max-requests-per-second-of-address must be "
        "above 0");
  }
  if (config::HideUrlSecrets(o.web_external_url) != o.web_external_url) {
    return InvalidArgument(
        "--web.external-url holds a password or a token, which every link of an alert would show: "
        "leave it out");
  }
  o.query.max_samples = static_cast<uint64_t>(query_max_samples_);
  o.query.max_concurrency = static_cast<int>(query_max_concurrency_);
  o.query.max_bytes = static_cast<uint64_t>(query_max_memory_bytes_);
  o.query.max_waiting = static_cast<int>(query_max_waiting_);
  o.query.max_text_bytes = static_cast<uint64_t>(query_max_length_bytes_);
  o.query.max_depth = static_cast<int32_t>(query_max_depth_);
  if (wal_sync_ == "always") {
    o.wal_sync_ms = 0;
  } else {
    Result<int64_t> ms = ParseDuration(wal_sync_);
    if (!ms.ok() || *ms <= 0) {
      return InvalidArgument(StrCat("--storage.wal-sync=", Quoted(wal_sync_),
                                    ": a duration such as 1s is expected, or \"always\""));
    }
    o.wal_sync_ms = *ms;
  }
  struct Switch {
    std::string_view name;
    bool* on;
  };
  const Switch switches[] = {
      {"promql-experimental-functions", &o.query.experimental_functions},
      {"promql-extended-range-selectors", &o.query.extended_range_selectors},
      {"promql-binop-fill-modifiers", &o.query.binop_fill_modifiers},
      {"promql-delayed-name-removal", &o.query.delayed_name_removal},
      {"type-and-unit-labels", &o.query.type_and_unit_labels},
      {"use-start-timestamps", &o.query.start_timestamps},
      {"st-storage", &o.start_timestamps},
      {"created-timestamp-zero-ingestion", &o.start_zero_samples},
  };
  // Switches of Prometheus for what Vedette always does.
  constexpr std::string_view kAlwaysOn[] = {"exemplar-storage",       "promql-at-modifier",
                                            "promql-negative-offset", "native-histograms",
                                            "promql-duration-expr",   "concurrent-rule-eval",
                                            "promql-per-step-stats",  "extra-scrape-metrics",
                                            "auto-gomaxprocs",        "utf8-names"};
  for (const std::string& list : feature_lists_) {
    for (const std::string_view name : Split(list, ',')) {
      if (name.empty()) continue;
      bool known = false;
      for (const Switch& s : switches) {
        if (s.name != name) continue;
        *s.on = true;
        known = true;
      }
      for (const std::string_view always : kAlwaysOn) known |= always == name;
      (known ? o.features : unknown_features_).emplace_back(name);
    }
  }
  o.start_timestamps |= o.query.start_timestamps;
  return outcome;
}

}  // namespace vedette
