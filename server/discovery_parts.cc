#include "server/discovery_parts.h"

#include <string_view>
#include <utility>

#include "common/base/clock.h"
#include "common/base/strings.h"
#include "common/http/client.h"
#include "common/log/log.h"
#include "server/scrape/http_source.h"

namespace vedette {

discovery::HttpPort MakeDiscoveryHttp() {
  return [](const discovery::HttpCall& call) -> Result<discovery::HttpAnswer> {
    http::ClientOptions options = scrape::ToClientOptions(call.http);
    options.timeout_ms = call.timeout_ms;
    options.unix_socket = call.unix_socket;
    if (call.sign) {
      options.sigv4 = http::SigV4Options{.region = call.sign->region,
                                         .service = call.sign->service,
                                         .access_key = call.sign->access_key,
                                         .secret_key = call.sign->secret_key,
                                         .session_token = call.sign->session_token};
    }
    http::ClientRequest request;
    request.method = call.method;
    request.url = call.url;
    request.body = call.body;
    for (const auto& [name, value] : call.headers) request.headers.Add(name, value);
    VEDETTE_ASSIGN_OR_RETURN(http::ClientResponse answer,
                             http::Client(std::move(options)).Do(request));
    return discovery::HttpAnswer{answer.status, std::move(answer.body)};
  };
}

discovery::Events MakeDiscoveryEvents(metrics::Registry& registry, const std::string& name) {
  const Clock& clock = SystemClock();
  auto& failures = registry.AddCounterFamily("prometheus_sd_refresh_failures_total",
                                             "Refreshes of a service discovery that failed.",
                                             {"config", "mechanism"});
  auto& seconds = registry.AddSummaryFamily("prometheus_sd_refresh_duration_seconds",
                                            "What a refresh of a service discovery took.",
                                            {"config", "mechanism"}, clock);
  auto& histogram = registry.AddHistogramFamily("prometheus_sd_refresh_duration_histogram_seconds",
                                                "What a refresh of a service discovery took.",
                                                {"config", "mechanism"}, {0.01, 0.1, 1, 10});
  auto& file_scan =
      registry.AddSummaryFamily("prometheus_sd_file_scan_duration_seconds",
                                "What reading the files of targets took.", {}, clock);
  auto& received = registry.AddCounterFamily(
      "prometheus_sd_received_updates_total",
      "Times that a service discovery came back with something new.", {"name"});
  auto& targets = registry.AddGaugeFamily("prometheus_sd_discovered_targets",
                                          "Targets that were discovered.", {"config", "name"});
  auto& updates = registry.AddCounterFamily("prometheus_sd_updates_total",
                                            "Lists of targets handed on.", {"name"});
  auto& files = registry.AddGaugeFamily("prometheus_sd_file_mtime_seconds",
                                        "When a file of targets was changed.", {"filename"});
  auto& file_errors = registry.AddCounterFamily("prometheus_sd_file_read_errors_total",
                                                "Files of targets that could not be read.", {});
  auto& http_failures = registry.AddCounterFamily(
      "prometheus_sd_http_failures_total", "Refreshes of HTTP service discovery that failed.", {});
  auto& dns_failures =
      registry.AddCounterFamily("prometheus_sd_dns_lookup_failures_total",
                                "Refreshes of DNS service discovery that failed.", {});
  auto& kubernetes_failures = registry.AddCounterFamily(
      "prometheus_sd_kubernetes_failures_total",
      "Refreshes of Kubernetes service discovery that failed.", {});
  file_scan.With({});
  received.With({name});
  updates.With({name});
  file_errors.With({});
  http_failures.With({});
  dns_failures.With({});
  kubernetes_failures.With({});

  discovery::Events events;
  events.refresh_failed = [&](std::string_view mechanism, std::string_view job,
                              const Status& why) {
    log::Warn("discovery failed; the targets found before stay",
              {{"mechanism", mechanism}, {"job", job}, {"err", why}});
    failures.With({std::string(job), std::string(mechanism)}).Increment();
    if (mechanism == "file") file_errors.With({}).Increment();
    if (mechanism == "http") http_failures.With({}).Increment();
    if (mechanism == "dns") dns_failures.With({}).Increment();
    if (mechanism == "kubernetes") kubernetes_failures.With({}).Increment();
  };
  events.refreshed = [&](std::string_view mechanism, std::string_view job, double took) {
    seconds.With({std::string(job), std::string(mechanism)}).Observe(took);
    histogram.With({std::string(job), std::string(mechanism)}).Observe(took);
    if (mechanism == "file") file_scan.With({}).Observe(took);
    failures.With({std::string(job), std::string(mechanism)});  // 0 is worth being seen.
  };
  events.updated = [&, name](std::string_view, std::string_view) {
    received.With({name}).Increment();
  };
  events.file_read = [&](std::string_view path, double mtime_seconds) {
    files.With({std::string(path)}).Set(mtime_seconds);
  };
  events.discovered = [&, name](std::string_view job, size_t count) {
    targets.With({std::string(job), name}).Set(static_cast<double>(count));
    updates.With({name}).Increment();
  };
  return events;
}

}  // namespace vedette
