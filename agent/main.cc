#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "agent/agent.h"
#include "agent/host_flags.h"
#include "agent/mysql_flags.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/flags/flags.h"
#include "common/http/limits.h"
#include "common/log/log.h"
#include "common/rpc/limits.h"
#include "common/systemd/notify.h"

namespace vedette::agent {
namespace {

// Flags whose text still has to be read.
struct RawFlags {
  std::vector<std::string> app_endpoints;
  std::string log_level = "info", log_format = "logfmt";
};

// Every scrape takes the same memory again. Two heaps for all threads, kept between scrapes, spare the
// kernel a thousand pages taken back and given anew each time.
void KeepMemory() {
  mallopt(M_ARENA_MAX, 2);
  mallopt(M_TRIM_THRESHOLD, 4 << 20);
  mallopt(M_TOP_PAD, 1 << 20);
}

// Files of the kernel's are kept open: as many as the administrator allows, not as few as a shell
// begins with.
void AllowFiles() {
  rlimit files = {};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = std::min<rlim_t>(files.rlim_max, 65'536);
  setrlimit(RLIMIT_NOFILE, &files);
}

int Main(int argc, char** argv) {
  // Before any thread: they all inherit it, and the signals come to sigwait below.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  KeepMemory();
  AllowFiles();

  AgentOptions options;
  RawFlags raw;
  flags::Flags flags("vedette-agent",
                     "Shows this node's host, container, MySQL and application metrics: to a "
                     "vedette-server over mTLS gRPC, to anyone as text.",
                     kVersion);
  flags.Group("HTTP");
  flags.Add("web.listen-address", &options.web_listen,
            "Where text metrics are shown; may be given several times.");
  flags.Add("web.telemetry-path", &options.telemetry_path, "Path of the metrics.");
  flags.Add("web.config.file", &options.web_config_file,
            "TLS, passwords and headers, in Prometheus' schema.");
  http::AddLimitFlags(flags, &options.web_limits);
  flags.Group("gRPC");
  flags.Add("grpc.listen-address", &options.grpc_listen,
            "Where AgentService listens; may be given several times.");
  flags.Add("grpc.tls.cert", &options.tls_cert, "The agent's certificate, PEM.");
  flags.Add("grpc.tls.key", &options.tls_key, "Its key, PEM.");
  flags.Add("grpc.tls.ca", &options.tls_ca, "The CA whose servers are answered, PEM.");
  flags.Add("grpc.tls.crl", &options.tls_crl, "What the CA has revoked, PEM.");
  flags.Add("grpc.insecure", &options.grpc_insecure,
            "No TLS, no roles: everybody who reaches the port reads everything.");
  rpc::AddLimitFlags(flags, &options.grpc_limits);
  HostFlags host_flags(&options.host);
  host_flags.Add(flags);
  flags.Add("collector.disable-defaults", &options.disable_defaults,
            "Run only the collectors that are named by --collector.NAME.");
  CollectorSwitches switches;
  switches.Add(flags);
  flags.AddDuration("collector.timeout", &options.collector_timeout_ms,
                    "How long a collector may take.");
  flags.Group("Containers");
  flags.Add("path.cgroup", &options.cgroup,
            "Mount point of control groups; by default fs/cgroup under --path.sysfs.");
  flags.Add("container.docker-socket", &options.docker_socket,
            "Socket of a Docker daemon, for names and images; empty: none.");
  flags.Add("container.podman-socket", &options.podman_socket,
            "Socket of Podman's service, for names and images; empty: none.");
  flags.Add("container.cri-socket", &options.cri_socket,
            "Socket of containerd or CRI-O (/run/crio/crio.sock), for the names of Kubernetes' "
            "containers; empty: none.");
  MysqlFlags mysql_flags;
  mysql_flags.Add(flags);
  flags.Group("Applications");
  flags.Add("app.endpoint", &raw.app_endpoints,
            "NAME=URL[;timeout=T][;max-body=S][;unix-socket=F][;username=U][;password-file=F]"
            "[;bearer-token-file=F][;ca-file=F][;cert-file=F][;key-file=F][;server-name=N]"
            "[;insecure-skip-verify]: text metrics to relay; may be given several times.");
  flags.Group("Processes");
  flags.Add("process.config", &options.process_config,
            "process-exporter's configuration: which processes are a group, and its name.");
  flags.Add("process.names", &options.process_names,
            "A command whose processes are a group; may be given several times.");
  flags.Add("process.smaps", &options.process_smaps,
            "Also proportional memory; the kernel walks every page for it.");
  flags.Group("Probes");
  flags.Add("probe.config", &options.probe_config,
            "blackbox_exporter's configuration: the modules of /probe and --probe.target. Without "
            "it: http_2xx, http_post_2xx, tcp_connect, tcp_tls, icmp, grpc, grpc_plain, ssh_banner.");
  flags.Add("probe.target", &options.probe_targets,
            "MODULE=TARGET to probe at every collection; may be given several times.");
  flags.Group("Ring");
  flags.Add("ring.path", &options.ring_path,
            "Folder that keeps the ring over restarts of the agent; empty: memory alone.");
  flags.AddSize("ring.size", &options.ring_bytes,
                "Memory for snapshots that are kept while no server pulls.");
  flags.Group("Alarm");
  flags.Add("alarm.webhook-url", &options.alarm_webhook_url,
            "Where to tell that nobody has scraped this agent any more: Alertmanager's webhook, "
            "version 4, with the alert AgentUnscraped.");
  flags.Add("alarm.webhook-url-file", &options.alarm_webhook_url_file,
            "File that holds this URL, read at each use.");
  flags.AddDuration("alarm.after", &options.alarm_after_ms, "After how long without a scrape.");
  flags.AddDuration("alarm.repeat", &options.alarm_repeat_ms, "How often to tell it again.");
  flags.Group("Log");
  flags.AddChoice("log.level", &raw.log_level, {"debug", "info", "warn", "error"},
                  "What is logged.");
  flags.AddChoice("log.format", &raw.log_format, {"logfmt", "json"}, "How it is logged.");

  const auto complain = [](const Status& status) {
    const std::string_view text = status.message();
    std::fprintf(stderr, "vedette-agent: %.*s\n", static_cast<int>(text.size()), text.data());
    return 2;
  };
  auto outcome = flags.Parse(argc, argv);
  if (!outcome.ok()) return complain(outcome.status());
  if (outcome->exit) {
    std::fputs(outcome->text.c_str(), stdout);
    return 0;
  }
  // Both are choices, so that they can be read.
  const auto level = log::ParseLevel(raw.log_level);
  const auto format = log::ParseFormat(raw.log_format);
  if (!level.ok()) return complain(level.status());
  if (!format.ok()) return complain(format.status());
  log::Init(argv[0], *level, *format);
  for (const std::string& name : flags.ignored()) {
    log::Warn("flag is accepted and without effect", {{"flag", name}});
  }
  if (Status s = host_flags.Finish(flags); !s.ok()) return complain(s);
  switches.Finish(flags, options.enabled, options.disabled);
  auto mysql = mysql_flags.Finish(flags);
  if (!mysql.ok()) return complain(mysql.status());
  options.mysql = *std::move(mysql);
  options.mysql_probe_files = mysql_flags.probe_files();
  options.mysql_probe = mysql_flags.probe_options();
  for (const std::string& text : raw.app_endpoints) {
    auto endpoint = ParseAppEndpoint(text);
    if (!endpoint.ok()) return complain(endpoint.status());
    options.apps.push_back(*std::move(endpoint));
  }
  if (options.telemetry_path.empty() || options.telemetry_path[0] != '/') {
    return complain(InvalidArgument("--web.telemetry-path begins with a slash"));
  }
  // --grpc.listen-address= with nothing behind it means: not at all.
  std::erase(options.grpc_listen, "");
  std::erase(options.web_listen, "");
  if (!options.grpc_listen.empty() && !options.grpc_insecure &&
      (options.tls_cert.empty() || options.tls_key.empty() || options.tls_ca.empty())) {
    return complain(InvalidArgument(
        "gRPC wants --grpc.tls.cert, --grpc.tls.key and --grpc.tls.ca (vedettectl ca issue --role "
        "agent makes them), or --grpc.insecure for a node that anybody may read"));
  }
  if (options.grpc_insecure) {
    log::Warn("gRPC is open to everybody who reaches it: --grpc.insecure",
              {{"address", options.grpc_listen.empty() ? "" : options.grpc_listen[0]}});
  }

  const systemd::Notifier notifier = systemd::Notifier::FromEnvironment();
  auto agent = Agent::Start(std::move(options));
  if (!agent.ok()) {
    log::Error("cannot start", {{"err", agent.status()}});
    return 1;
  }
  for (const int port : (*agent)->grpc_ports()) {
    log::Info("gRPC is ready", {{"node", (*agent)->node()}, {"port", port}});
  }
  for (const int port : (*agent)->web_ports()) {
    log::Info("text metrics are ready", {{"port", port}});
  }
  notifier.Ready("serving");
  const int64_t wait_ms = notifier.watchdog_ms() > 0 ? notifier.watchdog_ms() / 3 : 3'600'000;
  const timespec wait{.tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * 1'000'000};
  int got = -1;
  while ((got = sigtimedwait(&signals, nullptr, &wait)) < 0) {
    if (notifier.watchdog_ms() > 0) notifier.Alive();
  }
  notifier.Stopping();
  log::Info("stopping", {{"signal", got == SIGTERM ? "SIGTERM" : "SIGINT"}});
  (*agent)->Stop();
  return 0;
}

}  // namespace
}  // namespace vedette::agent

int main(int argc, char** argv) { return vedette::agent::Main(argc, argv); }
