#include <pthread.h>
#include <signal.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/agent.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/flags/flags.h"
#include "common/log/log.h"

namespace vedette::agent {
namespace {

// Flags whose text still has to be read.
struct RawFlags {
  std::vector<std::string> mysql_addresses, mysql_config_files, mysql_collect;
  std::string mysql_user, mysql_password, mysql_password_file, mysql_config_section = "client";
  int64_t mysql_lock_wait_timeout_s = 2, mysql_processlist_min_time_s = 0;
  int64_t mysql_timeout_ms = 4'000;
  bool mysql_log_slow_filter = false;
  std::vector<std::string> app_endpoints;
  std::string log_level = "info", log_format = "logfmt";
};

// --collector.NAME and --no-collector.NAME: a bool a collector, true by default.
struct Switches {
  std::vector<std::string> names;
  std::unique_ptr<bool[]> on;
};

void AddHostFlags(flags::Flags& flags, HostOptions& host) {
  flags.Group("Paths");
  flags.Add("path.procfs", &host.procfs, "Mount point of procfs.");
  flags.Add("path.sysfs", &host.sysfs, "Mount point of sysfs.");
  flags.Add("path.rootfs", &host.rootfs, "Where the host's root is mounted.");
  flags.Add("path.udev.data", &host.udev_data, "udev's data.");
  flags.Group("Host collectors");
  flags.Add("collector.diskstats.device-exclude", &host.diskstats_device_exclude,
            "Disks to leave out.");
  flags.Add("collector.diskstats.device-include", &host.diskstats_device_include,
            "Disks to show, instead of leaving some out.");
  flags.Add("collector.filesystem.mount-points-exclude", &host.filesystem_mount_points_exclude,
            "Mount points to leave out.");
  flags.Add("collector.filesystem.fs-types-exclude", &host.filesystem_fs_types_exclude,
            "Types of file systems to leave out.");
  flags.Add("collector.netdev.device-exclude", &host.netdev_device_exclude,
            "Network devices to leave out.");
  flags.Add("collector.netdev.device-include", &host.netdev_device_include,
            "Network devices to show, instead of leaving some out.");
  flags.Add("collector.netdev.netlink", &host.netdev_netlink,
            "Read network devices by netlink rather than from procfs.");
  flags.Add("collector.netclass.ignored-devices", &host.netclass_ignored_devices,
            "Network devices that netclass leaves out.");
  flags.Add("collector.netclass.ignore-invalid-speed", &host.netclass_ignore_invalid_speed,
            "Leave out a speed that the device does not know.");
  flags.Add("collector.netstat.fields", &host.netstat_fields, "Fields of netstat to show.");
  flags.Add("collector.vmstat.fields", &host.vmstat_fields, "Fields of vmstat to show.");
  flags.Add("collector.cpu.guest", &host.cpu_guest, "Show node_cpu_guest_seconds_total.");
  flags.Add("collector.cpu.info", &host.cpu_info, "Show node_cpu_info.");
  flags.Add("collector.stat.softirq", &host.stat_softirq, "Show softirqs by vector.");
}

Status ReadMysql(const RawFlags& raw, AgentOptions& options) {
  MysqlOptions base;
  base.user = raw.mysql_user;
  base.password = raw.mysql_password;
  base.password_file = raw.mysql_password_file;
  base.lock_wait_timeout_s = raw.mysql_lock_wait_timeout_s;
  base.processlist_min_time_s = raw.mysql_processlist_min_time_s;
  base.log_slow_filter = raw.mysql_log_slow_filter;
  base.query_timeout_ms = raw.mysql_timeout_ms;
  base.collectors = raw.mysql_collect;
  std::vector<MysqlOptions> found;
  for (const std::string& path : raw.mysql_config_files) {
    std::ifstream file(path);
    if (!file) return NotFound(StrCat("--mysql.config-file=", path, ": cannot be read"));
    const std::string text(std::istreambuf_iterator<char>(file), {});
    MysqlOptions one = base;
    if (Status s = ParseMyCnf(text, raw.mysql_config_section, one); !s.ok()) {
      return s.Annotate(StrCat("--mysql.config-file=", path));
    }
    found.push_back(std::move(one));
  }
  for (size_t i = 0; i < raw.mysql_addresses.size(); ++i) {
    // One file and one address speak of the same server.
    const bool same = i == 0 && found.size() == 1;
    MysqlOptions one = same ? found[0] : base;
    VEDETTE_RETURN_IF_ERROR(ParseMysqlAddress(raw.mysql_addresses[i], one));
    if (same) {
      found[0] = std::move(one);
    } else {
      found.push_back(std::move(one));
    }
  }
  // Servers beyond the first need a name; their address is one.
  for (size_t i = 1; i < found.size(); ++i) {
    MysqlOptions& o = found[i];
    if (o.name != "mysql") continue;
    o.name = StrCat("mysql/", o.unix_socket.empty() ? StrCat(o.host, ":", o.port) : o.unix_socket);
  }
  for (MysqlOptions& o : found) {
    log::RegisterSecret(o.password);
    options.mysql.push_back(std::move(o));
  }
  return {};
}

int Main(int argc, char** argv) {
  // Before any thread: they all inherit it, and the signals come to sigwait below.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

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
  flags.Group("gRPC");
  flags.Add("grpc.listen-address", &options.grpc_listen,
            "Where AgentService listens; may be given several times.");
  flags.Add("grpc.tls.cert", &options.tls_cert, "The agent's certificate, PEM.");
  flags.Add("grpc.tls.key", &options.tls_key, "Its key, PEM.");
  flags.Add("grpc.tls.ca", &options.tls_ca, "The CA whose servers are answered, PEM.");
  flags.Add("grpc.tls.crl", &options.tls_crl, "What the CA has revoked, PEM.");
  flags.Add("grpc.insecure", &options.grpc_insecure,
            "No TLS, no roles: everybody who reaches the port reads everything.");
  AddHostFlags(flags, options.host);
  flags.Add("collector.disable-defaults", &options.disable_defaults,
            "Run only the collectors that are named by --collector.NAME.");
  Switches switches{.names = CollectorNames()};
  switches.on = std::make_unique<bool[]>(switches.names.size());
  for (size_t i = 0; i < switches.names.size(); ++i) {
    switches.on[i] = true;
    flags.Add(StrCat("collector.", switches.names[i]), &switches.on[i],
              StrCat("Run the collector ", switches.names[i], "."));
  }
  flags.AddDuration("collector.timeout", &options.collector_timeout_ms,
                    "How long a collector may take.");
  flags.Group("Containers");
  flags.Add("path.cgroup", &options.cgroup,
            "Mount point of control groups; by default fs/cgroup under --path.sysfs.");
  flags.Add("container.docker-socket", &options.docker_socket,
            "Socket of a Docker daemon, for names and images; empty: none.");
  flags.Group("MySQL");
  flags.Add("mysql.address", &raw.mysql_addresses,
            "HOST:PORT or unix:///SOCKET[;name=N][;user=U][;password-file=F][;tls][;ca-file=F]"
            "[;cert-file=F][;key-file=F][;insecure-skip-verify][;timeout=T][;collect=C]: a server "
            "to watch; may be given several times.");
  flags.Add("mysql.user", &raw.mysql_user, "User, where the address names none.");
  flags.Add("mysql.password", &raw.mysql_password,
            "Its password; better in a file or in VEDETTE_MYSQL_PASSWORD.");
  flags.Add("mysql.password-file", &raw.mysql_password_file, "File that holds the password.");
  flags.Add("mysql.config-file", &raw.mysql_config_files,
            "A my.cnf with user, password, host, port, socket and ssl-*; may be given several "
            "times, for a server each.");
  flags.Add("mysql.config-section", &raw.mysql_config_section, "Its section.");
  flags.Add(
      "mysql.collect", &raw.mysql_collect,
      "Collectors to run instead of the default ones, as in mysqld_exporter's --collect.NAME; "
      "may be given several times.");
  flags.AddDuration("mysql.timeout", &raw.mysql_timeout_ms, "How long a query may take.");
  flags.Add("mysql.lock-wait-timeout", &raw.mysql_lock_wait_timeout_s,
            "lock_wait_timeout of the session, in seconds; 0: the server's.");
  flags.Add("mysql.log-slow-filter", &raw.mysql_log_slow_filter,
            "Keep the agent's queries out of MariaDB's slow query log.");
  flags.Add("mysql.processlist.min-time", &raw.mysql_processlist_min_time_s,
            "Seconds a thread must have been busy to be counted.");
  flags.Group("Applications");
  flags.Add("app.endpoint", &raw.app_endpoints,
            "NAME=URL[;timeout=T][;max-body=S][;unix-socket=F][;username=U][;password-file=F]"
            "[;bearer-token-file=F][;ca-file=F][;cert-file=F][;key-file=F][;server-name=N]"
            "[;insecure-skip-verify]: text metrics to relay; may be given several times.");
  flags.Group("Ring");
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
  for (size_t i = 0; i < switches.names.size(); ++i) {
    if (!switches.on[i]) options.disabled.push_back(switches.names[i]);
    if (switches.on[i] && flags.Given(StrCat("collector.", switches.names[i]))) {
      options.enabled.push_back(switches.names[i]);
    }
  }
  if (Status s = ReadMysql(raw, options); !s.ok()) return complain(s);
  for (const std::string& text : raw.app_endpoints) {
    auto endpoint = ParseAppEndpoint(text);
    if (!endpoint.ok()) return complain(endpoint.status());
    options.apps.push_back(*std::move(endpoint));
  }
  if (options.telemetry_path.empty() || options.telemetry_path[0] != '/') {
    return complain(InvalidArgument("--web.telemetry-path begins with a slash"));
  }
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
  int got = 0;
  sigwait(&signals, &got);
  log::Info("stopping", {{"signal", got == SIGTERM ? "SIGTERM" : "SIGINT"}});
  (*agent)->Stop();
  return 0;
}

}  // namespace
}  // namespace vedette::agent

int main(int argc, char** argv) { return vedette::agent::Main(argc, argv); }
