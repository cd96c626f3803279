#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/config/prometheus.h"
#include "common/http/server.h"
#include "common/metrics/metrics.h"
#include "common/rpc/event.h"
#include "common/rpc/server.h"
#include "common/tls/trust.h"
#include "server/alerts.h"
#include "server/api/enrol/enrol_service.h"
#include "server/api/grpc/query_service.h"
#include "server/backfill_watch.h"
#include "server/discovery/manager.h"
#include "server/external_url.h"
#include "server/loaded.h"
#include "server/memory_limit.h"
#include "server/promql/engine.h"
#include "server/push/push_store.h"
#include "server/query_log.h"
#include "server/remote_out.h"
#include "server/routes.h"
#include "server/ruler/ruler.h"
#include "server/scrape/scrape_manager.h"
#include "server/server.h"
#include "server/sources.h"
#include "server/start_times/start_times.h"
#include "server/tsdb/tsdb.h"

// Private to server.cc (the life from start to stop), http_doors.cc and grpc_doors.cc.
namespace vedette {

struct Server::Parts {
  Parts(const ServerFlags& f, std::function<void()> q) : flags(f), quit(std::move(q)) {}
  ~Parts() { Stop(); }

  Status Open();
  // Says whether the run before was stopped in order, and that this one has not been.
  Status NoteStart();
  void NoteEnd();
  Status OpenDoors();
  Status OpenGrpc();
  Status OpenEnrolment();
  Status OpenPushes();
  Status Apply(Loaded loaded) VEDETTE_REQUIRES(reload_mu);
  Status Reload() VEDETTE_EXCLUDES(reload_mu);
  void WatchFiles();
  void Stop();

  std::vector<ruler::RuleGroupStatus> RuleGroups() const;
  api::TsdbInfo TsdbInfo(size_t limit) const;
  api::RuntimeInfo Runtime() const VEDETTE_EXCLUDES(state_mu);
  const storage::Queryable& queryable() const {
    if (start_times != nullptr) return *start_times;
    return db->queryable();
  }
  rpc::EventSink RpcEvents();
  // Our own certificate, and the CA's with the list of revoked ones beside it.
  tls::CertificateFiles GrpcFiles() const;

  const ServerFlags& flags;
  const std::function<void()> quit;
  const ServerOptions& options = flags.options();
  const Clock& clock = SystemClock();
  const int64_t start_ms = clock.NowMs();
  const ExternalUrl external = ExternalUrlOf(options);
  const std::string prefix = PrefixOf(options, external);

  metrics::Registry registry;
  metrics::Gauge& reload_ok = registry.AddGauge("prometheus_config_last_reload_successful",
                                                "1 when the last reload took effect.");
  metrics::Gauge& reload_time = registry.AddGauge(
      "prometheus_config_last_reload_success_timestamp_seconds", "When a reload last took effect.");
  metrics::Gauge& insecure =
      registry.AddGauge("vedette_grpc_insecure", "1 while the gRPC door is open without TLS.");
  metrics::Family<metrics::Counter>& rpc_events = registry.AddCounterFamily(
      "vedette_grpc_events_total", "Refused handshakes and calls, and other events of gRPC.",
      {"event"});
  metrics::Family<metrics::Counter>& left_out = registry.AddCounterFamily(
      "vedette_target_series_left_out_total",
      "Scraped series left out because a label is longer than --scrape.label-value-length-limit.",
      {"job"});

  // From the ground up; Stop goes the other way.
  MemoryLimit memory{options.memory_limit_bytes, clock};
  std::unique_ptr<tsdb::Tsdb> db;
  std::unique_ptr<StartTimes> start_times;            // Null unless start timestamps are kept.
  std::unique_ptr<remote::RemoteWrite> remote_write;  // Every writer goes through its appender.
  std::unique_ptr<promql::Engine> engine;
  std::unique_ptr<AlertPipeline> alerts;
  std::unique_ptr<ruler::Ruler> rules;
  std::unique_ptr<BackfillWatch> backfills;
  std::unique_ptr<push::PushStore> pushes;  // Null: --no-web.enable-push.
  std::unique_ptr<Sources> sources;
  std::unique_ptr<scrape::ScrapeManager> scrapes;
  std::unique_ptr<discovery::DiscoveryManager> discovery;

  std::unique_ptr<api::QueryDoor> query_door;
  std::unique_ptr<api::RunningDoor> running_door;
  std::unique_ptr<api::SearchDoor> search_door;
  std::unique_ptr<api::SeriesDoor> series_door;
  std::unique_ptr<api::StatusDoor> status_door;
  std::unique_ptr<api::CostDoor> cost_door;
  std::atomic<uint64_t> written_bytes{0};
  std::unique_ptr<api::DashboardsDoor> dashboards_door;
  std::unique_ptr<api::PreferencesDoor> preferences_door;
  std::unique_ptr<api::TargetsDoor> targets_door;
  std::unique_ptr<api::RulesDoor> rules_door;
  std::unique_ptr<api::AlertmanagerDoor> alertmanager_door;
  std::unique_ptr<api::RehearseDoor> rehearse_door;
  std::unique_ptr<api::FederateDoor> federate_door;
  std::unique_ptr<api::AdminDoor> admin_door;
  std::unique_ptr<api::ReadDoor> read_door;
  std::unique_ptr<api::OtlpDoor> otlp_door;
  std::unique_ptr<api::WriteDoor> write_door;
  QueryLog query_log;
  std::unique_ptr<http::Server> http;
  std::shared_ptr<grpc::Service> query_service;
  std::unique_ptr<rpc::Server> grpc;
  std::unique_ptr<enrol::EnrolDoor> enrolment;
  std::thread watcher;

  std::atomic<bool> ready{false};
  bool stopped = false;

  Mutex reload_mu;  // One reload at a time.
  mutable Mutex state_mu;
  CondVar stopping_changed;
  bool stopping VEDETTE_GUARDED_BY(state_mu) = false;
  std::shared_ptr<const config::PrometheusConfig> config VEDETTE_GUARDED_BY(state_mu);
  bool last_reload_ok VEDETTE_GUARDED_BY(state_mu) = false;
  int64_t last_config_ms VEDETTE_GUARDED_BY(state_mu) = 0;
};

}  // namespace vedette
