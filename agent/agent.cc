#include "agent/agent.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <set>
#include <utility>

#include "agent/alarm.h"
#include "agent/collector/collector.h"
#include "agent/container/container.h"
#include "agent/container/cri.h"
#include "agent/container/docker.h"
#include "agent/mysql/targets.h"
#include "agent/probe/probe.h"
#include "agent/process/process.h"
#include "agent/service/agent_service.h"
#include "agent/service/pages.h"
#include "agent/service/probe_page.h"
#include "agent/snapshot/ring.h"
#include "agent/snapshot/ring_files.h"
#include "agent/snapshot/sampler.h"
#include "agent/snapshot/snapshot_taker.h"
#include "common/base/strings.h"
#include "common/config/url_secrets.h"
#include "common/http/client.h"
#include "common/http/debug_routes.h"
#include "common/http/server.h"
#include "common/http/web_protection.h"
#include "common/log/log.h"
#include "common/metrics/metrics.h"
#include "common/metrics/process.h"
#include "common/metrics/refusals.h"
#include "common/rpc/server.h"
#include "common/tls/trust.h"

namespace vedette::agent {
namespace {

constexpr int64_t kStopGraceMs = 3'000;
constexpr int64_t kSampleTimeoutMs = 10'000;
constexpr double kMsPerDay = 86'400'000;

std::string HostName() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "localhost";
}

bool Contains(const std::vector<std::string>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

// What the role of a caller allows: only a server pulls, people look.
std::vector<rpc::MethodRule> Rules() {
  using enum tls::Role;
  const std::string service = "/vedette.v1.AgentService/";
  return {{service + "Pull", {kServer}},
          {service + "Describe", {kServer, kOperator, kViewer}},
          {service + "Collect", {kServer, kOperator, kViewer}}};
}

void LogEvent(const rpc::Event& event) {
  std::string facts;
  for (const auto& [key, value] : event.fields) {
    StrAppend(facts, facts.empty() ? "" : " ", key, "=", value);
  }
  const bool good =
      event.kind == rpc::EventKind::kListening || event.kind == rpc::EventKind::kStopped;
  if (good) {
    log::Info(event.message, {{"event", rpc::EventName(event.kind)}, {"facts", facts}});
  } else {
    log::Warn(event.message, {{"event", rpc::EventName(event.kind)}, {"facts", facts}});
  }
}

}  // namespace

struct Agent::State {
  explicit State(AgentOptions o) : options(std::move(o)) {}

  Status Build();
  Status AddHostAndContainer(std::vector<Source>& sources);
  Status AddMysqlAndApps(std::vector<Source>& sources);
  Status AddProcessesAndProbes(std::vector<Source>& sources);
  void OwnMetrics(const std::vector<CollectorRun>& runs, MetricSink& sink);
  Status StartGrpc();
  Status StartWeb();
  void MakeAlarm();

  AgentOptions options;
  std::string node;
  std::unique_ptr<tls::CertificateEnd> certificate_end;  // Null without TLS.
  metrics::Registry registry;
  metrics::Family<metrics::Counter>* refused = nullptr;

  // In the order in which they stand on one another; stopped from the bottom up.
  std::unique_ptr<RingFiles> ring_files;  // May be null.
  std::unique_ptr<Ring> ring;
  ProbeModules probe_modules;
  std::unique_ptr<MysqlTargets> mysql_targets;  // Null: no file with accounts.
  std::unique_ptr<SnapshotTaker> taker;
  std::unique_ptr<Sampler> sampler;
  std::unique_ptr<AgentService> service;
  std::unique_ptr<rpc::Server> grpc;
  std::unique_ptr<http::Server> web;
  std::unique_ptr<Alarm> alarm;  // Null: nobody is to be told.
  bool stopped = false;
};

Status Agent::State::AddHostAndContainer(std::vector<Source>& sources) {
  const auto wanted = [&](std::string_view name) {
    if (Contains(options.disabled, name)) return false;
    return !options.disable_defaults || Contains(options.enabled, name);
  };
  const auto wanted_host = [&](const Collector& c) {
    return Contains(options.enabled, c.name()) || (c.on_by_default() && wanted(c.name()));
  };
  VEDETTE_ASSIGN_OR_RETURN(auto collectors, MakeHostCollectors(options.host));
  // The host is there even if all its collectors are off: it carries the agent's own metrics.
  Source host{.name = "host",
              .kind = SourceState::Kind::kHost,
              .deadline_ms = options.collector_timeout_ms};
  for (auto& c : collectors) {
    if (wanted_host(*c)) host.collectors.push_back(std::move(c));
  }
  sources.push_back(std::move(host));
  if (wanted("container")) {
    ContainerOptions container{
        .cgroup = options.cgroup.empty() ? options.host.sysfs + "/fs/cgroup" : options.cgroup,
        .procfs = options.host.procfs,
        .sysfs = options.host.sysfs,
        .rootfs = options.host.rootfs,
        .clock = options.clock};
    if (!options.docker_socket.empty()) {
      container.runtimes.push_back(
          {"docker", options.docker_socket, DockerContainers(options.docker_socket)});
    }
    if (!options.podman_socket.empty()) {
      container.runtimes.push_back(
          {"podman", options.podman_socket, DockerContainers(options.podman_socket)});
    }
    if (!options.cri_socket.empty()) {
      container.runtimes.push_back({"cri", options.cri_socket, CriContainers(options.cri_socket)});
    }
    Source source{.name = "container",
                  .kind = SourceState::Kind::kContainer,
                  .deadline_ms = options.collector_timeout_ms};
    source.collectors.push_back(MakeContainerCollector(std::move(container)));
    sources.push_back(std::move(source));
  }
  return {};
}

Status Agent::State::AddMysqlAndApps(std::vector<Source>& sources) {
  std::set<std::string> names;
  for (const Source& s : sources) names.insert(s.name);
  const auto unique = [&](const std::string& name) {
    return names.insert(name).second
               ? Status()
               : InvalidArgument(StrCat("two sources are called ", Quoted(name)));
  };
  for (const MysqlOptions& mysql : options.mysql) {
    VEDETTE_RETURN_IF_ERROR(unique(mysql.name));
    const std::string address =
        mysql.unix_socket.empty() ? StrCat(mysql.host, ":", mysql.port) : mysql.unix_socket;
    MysqlOptions own = mysql;
    // Half a second for what is not a query, so that what was found still counts.
    own.budget_ms = std::max<int64_t>(options.collector_timeout_ms - 500, 500);
    VEDETTE_ASSIGN_OR_RETURN(auto collector, MakeMysqlCollector(std::move(own), *options.clock));
    Source source{.name = mysql.name,
                  .kind = SourceState::Kind::kMysql,
                  .address = address,
                  .deadline_ms = options.collector_timeout_ms};
    source.collectors.push_back(std::move(collector));
    sources.push_back(std::move(source));
  }
  for (const AppEndpoint& app : options.apps) {
    VEDETTE_RETURN_IF_ERROR(unique(app.name));
    Source source{.name = app.name,
                  .kind = SourceState::Kind::kApplication,
                  .address = config::HideUrlSecrets(app.url),
                  .deadline_ms = app.timeout_ms};
    config::RegisterUrlSecrets(app.url);
    source.collectors.push_back(MakeAppCollector(app.name, HttpFetch(app)));
    sources.push_back(std::move(source));
  }
  return {};
}

Status Agent::State::AddProcessesAndProbes(std::vector<Source>& sources) {
  const auto source = [&](const char* name) {
    Source out{.name = name,
               .kind = SourceState::Kind::kHost,
               .deadline_ms = options.collector_timeout_ms};
    return out;
  };
  if (!options.process_config.empty() || !options.process_names.empty()) {
    ProcessNaming naming = ProcessNaming::ByComm(options.process_names);
    if (!options.process_config.empty()) {
      Result<ProcessNaming> loaded = ProcessNaming::Load(options.process_config);
      if (!loaded.ok()) return loaded.status().Annotate("--process.config");
      naming = *std::move(loaded);
    }
    Source processes = source("process");
    processes.collectors.push_back(MakeProcessCollector(
        std::move(naming), {.procfs = options.host.procfs, .smaps = options.process_smaps}));
    sources.push_back(std::move(processes));
  }
  probe_modules = DefaultProbeModules();
  if (!options.probe_config.empty()) {
    Result<ProbeModules> loaded = LoadProbeModules(options.probe_config);
    if (!loaded.ok()) return loaded.status().Annotate("--probe.config");
    probe_modules = *std::move(loaded);
  }
  if (options.probe_targets.empty()) return {};
  Source probes = source("probe");
  for (const std::string& text : options.probe_targets) {
    VEDETTE_ASSIGN_OR_RETURN(ProbeTarget target, ParseProbeTarget(text, probe_modules));
    const ProbeModule& module = probe_modules.at(target.module);
    // The probe has ended when its collector's time is over.
    probes.collectors.push_back(MakeProbeCollector(module, std::move(target),
                                                   options.collector_timeout_ms * 9 / 10));
  }
  sources.push_back(std::move(probes));
  return {};
}

void Agent::State::OwnMetrics(const std::vector<CollectorRun>& runs, MetricSink& sink) {
  for (MetricFamily& family : registry.Collect()) sink.AddFamily(std::move(family));
  sink.Family("node_scrape_collector_duration_seconds", MetricType::kGauge,
              "What a host collector took, in seconds.");
  for (const CollectorRun& r : runs) {
    if (r.source == "host") sink.Add({{"collector", r.name}}, r.duration_seconds);
  }
  sink.Family("node_scrape_collector_success", MetricType::kGauge,
              "Whether a host collector succeeded.");
  for (const CollectorRun& r : runs) {
    if (r.source == "host") sink.Add({{"collector", r.name}}, r.success ? 1 : 0);
  }
  sink.Family("vedette_collector_duration_seconds", MetricType::kGauge,
              "What a collector took, in seconds.");
  for (const CollectorRun& r : runs) {
    sink.Add({{"collector", r.name}, {"source", r.source}}, r.duration_seconds);
  }
  sink.Family("vedette_collector_success", MetricType::kGauge,
              "0 when a collector failed; none for what this machine has not.");
  for (const CollectorRun& r : runs) {
    if (!r.absent) sink.Add({{"collector", r.name}, {"source", r.source}}, r.success ? 1 : 0);
  }
}

Status Agent::State::Build() {
  std::vector<Source> sources;
  VEDETTE_RETURN_IF_ERROR(AddHostAndContainer(sources));
  VEDETTE_RETURN_IF_ERROR(AddMysqlAndApps(sources));
  VEDETTE_RETURN_IF_ERROR(AddProcessesAndProbes(sources));

  node = HostName();
  if (!options.grpc_listen.empty() && !options.grpc_insecure) {
    VEDETTE_ASSIGN_OR_RETURN(const tls::Identity identity,
                             tls::CheckFiles({.ca_file = options.tls_ca,
                                              .crl_file = options.tls_crl,
                                              .cert_file = options.tls_cert,
                                              .key_file = options.tls_key},
                                             *options.clock));
    node = identity.name;
    certificate_end = std::make_unique<tls::CertificateEnd>(options.tls_cert);
  }

  MakeAlarm();
  std::random_device random;
  uint64_t run_id = (uint64_t{random()} << 32 | random()) | 1;
  uint64_t last_sequence = 0;
  if (!options.ring_path.empty()) {
    Result<std::unique_ptr<RingFiles>> opened = RingFiles::Open(options.ring_path, run_id);
    if (!opened.ok()) return opened.status().Annotate("--ring.path");
    ring_files = *std::move(opened);
    // The run goes on, and no number may come twice: one a millisecond is more than are taken.
    run_id = ring_files->run_id();
    last_sequence = static_cast<uint64_t>(options.clock->NowMs());
  }
  ring = std::make_unique<Ring>(static_cast<size_t>(options.ring_bytes), ring_files.get());
  last_sequence = std::max(last_sequence, ring->loaded_sequence());
  // What the network moved is the host's to say: node_netstat_IpExt_InOctets and its kin.
  metrics::AddProcessMetrics(registry, options.host.procfs, false);
  metrics::AddRefusals(registry, metrics::Doors::kAgent);
  metrics::AddBuildInfo(registry, "vedette_agent", kVersion);
  // Dashboards of node_exporter look for this one.
  metrics::AddBuildInfo(registry, "node_exporter", kVersion);
  registry.AddGaugeFn("vedette_grpc_insecure", "1 if gRPC is open to everybody, without TLS.",
                      [this] { return options.grpc_insecure ? 1.0 : 0.0; });
  registry.AddGaugeFn("vedette_agent_ring_snapshots", "Snapshots kept for a server that is away.",
                      [this] { return static_cast<double>(ring->waiting()); });
  registry.AddGaugeFn("vedette_agent_ring_bytes", "Memory of the ring, in bytes.",
                      [this] { return static_cast<double>(ring->bytes()); });
  registry.AddCounterFn("vedette_agent_ring_dropped_total",
                        "Snapshots lost because the ring was full.",
                        [this] { return static_cast<double>(ring->dropped()); });
  registry.AddCounterFn("vedette_agent_ring_file_failures_total",
                        "Writes of --ring.path that failed, and damaged pieces left out.",
                        [this] { return static_cast<double>(ring->file_failures()); });
  registry.AddGaugeFn("vedette_agent_pulls", "Pull streams that are open.",
                      [this] { return service == nullptr ? 0.0 : service->pulls(); });
  if (certificate_end != nullptr) {
    registry.AddGaugeFn(
        "vedette_agent_certificate_expiry_timestamp_seconds",
        "When the agent's certificate ends, in seconds since the Unix epoch.",
        [this] { return static_cast<double>(certificate_end->NotAfterMs()) / 1000; });
  }
  refused = &registry.AddCounterFamily("vedette_agent_rpc_events_total",
                                       "What the gRPC door refused or said, by kind.", {"event"});

  taker = std::make_unique<SnapshotTaker>(
      SnapshotTaker::Options{.run_id = run_id,
                             .last_sequence = last_sequence,
                             .self = [this](const std::vector<CollectorRun>& runs,
                                            MetricSink& sink) { OwnMetrics(runs, sink); },
                             .clock = options.clock},
      std::move(sources));
  sampler = std::make_unique<Sampler>(
      [this] {
        auto taken = taker->Take({.timeout_ms = kSampleTimeoutMs});
        if (taken.ok()) {
          ring->Push((*taken)->snapshot);
        } else {
          log::Warn("could not sample for the ring", {{"err", taken.status()}});
        }
      },
      *options.clock);
  service = std::make_unique<AgentService>(
      AgentService::Options{.node = node,
                            .version = std::string(kVersion),
                            .started_at_ms = options.clock->NowMs(),
                            .certificate_days_left =
                                [this] {
                                  if (certificate_end == nullptr) return 0.0;
                                  return static_cast<double>(certificate_end->NotAfterMs() -
                                                             options.clock->NowMs()) /
                                         kMsPerDay;
                                },
                            .pulled =
                                [this] {
                                  if (alarm != nullptr) alarm->Scraped();
                                },
                            .check_peer =
                                [this](const grpc::ServerContextBase& context) {
                                  // The service is there before the door that calls it.
                                  return grpc == nullptr ? Status() : grpc->CheckPeer(context);
                                },
                            .clock = options.clock},
      *taker, *ring, *sampler);
  return {};
}

void Agent::State::MakeAlarm() {
  if (options.alarm_webhook_url.empty() && options.alarm_webhook_url_file.empty()) return;
  const auto post = [this](const std::string& body) -> Status {
    std::string url = options.alarm_webhook_url;
    if (!options.alarm_webhook_url_file.empty()) {
      std::ifstream file(options.alarm_webhook_url_file);
      if (!std::getline(file, url)) {
        log::Warn("cannot read the alarm's URL", {{"file", options.alarm_webhook_url_file}});
        return NotFound("--alarm.webhook-url-file");
      }
    }
    log::RegisterSecret(Trim(url));
    http::ClientRequest request{.method = "POST", .url = std::string(Trim(url)), .body = body};
    request.headers.Set("Content-Type", "application/json");
    const Result<http::ClientResponse> answer = http::Client({}).Do(request);
    const Status sent = !answer.ok() ? answer.status()
                        : answer->status / 100 == 2
                            ? Status()
                            : Unavailable(StrCat("answered ", answer->status));
    if (!sent.ok()) log::Warn("the alarm could not be told", {{"err", sent}});
    return sent;
  };
  alarm = std::make_unique<Alarm>(
      Alarm::Options{
          .node = node, .after_ms = options.alarm_after_ms, .repeat_ms = options.alarm_repeat_ms},
      post, *options.clock);
}

Status Agent::State::StartGrpc() {
  if (options.grpc_listen.empty()) return {};
  rpc::ServerOptions o;
  o.listen_addresses = options.grpc_listen;
  o.files = {.ca_file = options.tls_ca,
             .crl_file = options.tls_crl,
             .cert_file = options.tls_cert,
             .key_file = options.tls_key};
  o.insecure = options.grpc_insecure;
  o.limits = options.grpc_limits;
  o.rules = Rules();
  o.clock = options.clock;
  // Each look reads and compares three files, which adds up on a host that is asked every quarter of a
  // minute.
  o.certificate_refresh_seconds = 10;
  o.events = [this](const rpc::Event& event) {
    refused->With({std::string(rpc::EventName(event.kind))}).Increment();
    LogEvent(event);
  };
  VEDETTE_ASSIGN_OR_RETURN(grpc, rpc::Server::Start(std::move(o), {service->service()}));
  return {};
}

Status Agent::State::StartWeb() {
  if (options.web_listen.empty()) return {};
  http::ServerOptions o;
  static_cast<http::Limits&>(o) = options.web_limits;
  o.listen = options.web_listen;
  if (alarm != nullptr) {
    o.on_access = [this](const http::ServerOptions::Access& access) {
      if (access.request.path == options.telemetry_path && access.status == 200) alarm->Scraped();
    };
  }
  http::Router router = MakePages(*taker, options.telemetry_path);
  if (!options.mysql_probe_files.empty()) {
    mysql_targets = std::make_unique<MysqlTargets>(
        MysqlTargets::Options{.config_files = options.mysql_probe_files,
                              .base = options.mysql_probe,
                              .clock = options.clock});
  }
  AddProbePage(router, {.modules = probe_modules,
                        .mysql = mysql_targets.get(),
                        // An agent that was only given MySQL accounts stands in for mysqld_exporter.
                        .mysql_first = mysql_targets != nullptr && options.probe_config.empty() &&
                                       options.probe_targets.empty()});
  VEDETTE_ASSIGN_OR_RETURN(http::WebProtection protection,
                           http::LoadWebProtection(options.web_config_file));
  o.tls_context = protection.tls_context;
  for (http::Router::Filter& f : protection.filters) router.Use(std::move(f));
  for (http::Router::Decorator& d : protection.decorators) router.Decorate(std::move(d));
  http::AddDebugRoutes(router, "", protection.knows_its_users);
  VEDETTE_ASSIGN_OR_RETURN(web, http::Server::Start(std::move(o), std::move(router)));
  return {};
}

Result<std::unique_ptr<Agent>> Agent::Start(AgentOptions options) {
  auto state = std::make_unique<State>(std::move(options));
  VEDETTE_RETURN_IF_ERROR(state->Build());
  VEDETTE_RETURN_IF_ERROR(state->StartWeb());
  VEDETTE_RETURN_IF_ERROR(state->StartGrpc());
  // A server that is away while the agent starts again still finds no gap.
  if (state->ring_files != nullptr && state->ring_files->interval_ms() > 0) {
    state->sampler->Pulled(state->ring_files->interval_ms());
  }
  state->sampler->Start();
  if (state->alarm != nullptr) state->alarm->Start();
  return std::unique_ptr<Agent>(new Agent(std::move(state)));
}

Agent::Agent(std::unique_ptr<State> state) : state_(std::move(state)) {}
Agent::~Agent() { Stop(); }

void Agent::Stop() {
  State& s = *state_;
  if (std::exchange(s.stopped, true)) return;
  if (s.grpc != nullptr) s.grpc->Shutdown(kStopGraceMs);
  if (s.web != nullptr) s.web->Stop(kStopGraceMs);
  s.sampler->Stop();
  if (s.alarm != nullptr) s.alarm->Stop();
}

std::vector<int> Agent::grpc_ports() const {
  return state_->grpc == nullptr ? std::vector<int>() : state_->grpc->ports();
}

std::vector<int> Agent::web_ports() const {
  if (state_->web == nullptr) return {};
  return {state_->web->ports().begin(), state_->web->ports().end()};
}

const std::string& Agent::node() const { return state_->node; }

}  // namespace vedette::agent
