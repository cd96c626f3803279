#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/app/app.h"
#include "agent/host/host.h"
#include "agent/mysql/mysql.h"
#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/http/limits.h"
#include "common/rpc/limits.h"

namespace vedette::agent {

inline constexpr std::string_view kVersion = "0.1.0";

// Everything that a flag can say.
struct AgentOptions {
  HostOptions host;
  std::string cgroup;  // Empty: fs/cgroup under host.sysfs.
  std::string docker_socket = "/var/run/docker.sock";
  std::string podman_socket = "/run/podman/podman.sock";
  std::string cri_socket = "/run/containerd/containerd.sock";
  // By --collector.NAME and --no-collector.NAME. Collectors that are off by default run when they are
  // in `enabled`; with disable_defaults nothing else does.
  std::vector<std::string> enabled, disabled;
  bool disable_defaults = false;
  int64_t collector_timeout_ms = 5'000;

  std::vector<MysqlOptions> mysql;
  // Of /probe?target=&auth_module=: the my.cnf files whose sections are the accounts, and the rest
  // of the options. No files: no such probes.
  std::vector<std::string> mysql_probe_files;
  MysqlOptions mysql_probe;
  std::vector<AppEndpoint> apps;
  // Groups of processes: nothing where there is neither. The file is process-exporter's.
  std::string process_config;
  std::vector<std::string> process_names;
  bool process_smaps = false;
  // blackbox_exporter's file; empty: DefaultProbeModules(). MODULE=TARGET each.
  std::string probe_config;
  std::vector<std::string> probe_targets;

  std::vector<std::string> web_listen = {"127.0.0.1:9100"};  // Empty: no HTTP.
  std::string telemetry_path = "/metrics";
  std::string web_config_file;
  http::Limits web_limits;

  std::vector<std::string> grpc_listen = {"0.0.0.0:9465"};  // Empty: no gRPC.
  std::string tls_cert, tls_key, tls_ca, tls_crl;
  bool grpc_insecure = false;
  rpc::Limits grpc_limits;

  int64_t ring_bytes = 64 << 20;
  std::string ring_path;  // Empty: the ring is in memory alone.

  // Where to tell that nobody scrapes us any more; both empty: nowhere.
  std::string alarm_webhook_url, alarm_webhook_url_file;
  int64_t alarm_after_ms = 600'000;
  int64_t alarm_repeat_ms = 4 * 3'600'000;
  const Clock* clock = &SystemClock();
};

// Agent introduces the modules to each other: collectors to the snapshot taker, the taker to ring,
// service and pages, those to their servers. Thread-safe.
class Agent {
 public:
  // Every failure is a sentence: a taken port, a certificate that does not fit, a bad expression.
  static Result<std::unique_ptr<Agent>> Start(AgentOptions options);
  ~Agent();  // Stops.
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // In order: no new calls, streams end, the sampler stops, hanging collectors are left behind.
  void Stop();

  // The ports that were taken, in the order of the options.
  std::vector<int> grpc_ports() const;
  std::vector<int> web_ports() const;
  const std::string& node() const;

 private:
  struct State;
  explicit Agent(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace vedette::agent
