// docs/collectors.md is made from the collectors themselves: they run over the recorded machines of
// their own tests, and what they give, read and open is the page. A collector that changes without
// its page fails here; VEDETTE_UPDATE_GOLDEN=1 prints the page as it should be.
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "agent/collector/collector.h"
#include "agent/container/container.h"
#include "agent/host/files.h"
#include "agent/host/host.h"
#include "agent/mysql/mysql.h"
#include "agent/probe/module.h"
#include "agent/probe/probe.h"
#include "agent/process/naming.h"
#include "agent/process/process.h"
#include "common/base/strings.h"
#include "tests/support/golden.h"
#include "tests/support/recorded_tree.h"
#include "tests/support/temp_dir.h"

namespace vedette::agent {
namespace {

// Collectors whose families depend on what runs on the machine, so that no recorded one shows them.
const std::map<std::string_view, std::string_view>& FamiliesOfTheRunningMachine() {
  static const auto* families = new std::map<std::string_view, std::string_view>{
      {"ethtool",
       "node_ethtool_info, node_ethtool_* (a family for each counter of the driver), "
       "node_network_{autonegotiate,pause,asymmetricpause}_*, node_network_{supported,advertised}_*"},
      {"network_route", "node_network_route_info, node_network_routes"},
      {"tcpstat", "node_tcp_connection_states"},
      {"systemd",
       "node_systemd_unit_state, node_systemd_units, node_systemd_system_running, "
       "node_systemd_version, node_systemd_virtualization_info, "
       "node_systemd_timer_last_trigger_seconds, node_systemd_socket_{accepted_connections_total,"
       "current_connections,refused_connections_total}, node_systemd_service_restart_total, "
       "node_systemd_unit_{start_time_seconds,tasks_current,tasks_max}"},
      {"logind", "node_logind_sessions"},
      {"filesystem",
       "node_filesystem_{size,free,avail}_bytes, node_filesystem_{files,files_free,readonly,"
       "device_error}"},
      {"qdisc",
       "node_qdisc_{bytes,packets,drops,requeues,overlimits}_total, node_qdisc_current_queue_length, "
       "node_qdisc_backlog"},
      {"wifi", "node_wifi_interface_frequency_hertz, node_wifi_station_*"},
  };
  return *families;
}

const std::map<std::string_view, std::string_view>& FamiliesOfMysql() {
  static const auto* families = new std::map<std::string_view, std::string_view>{
      {"global_status", "mysql_global_status_*, mysql_galera_status_info"},
      {"global_variables", "mysql_global_variables_*, mysql_version_info, mysql_galera_variables_info"},
      {"slave_status", "mysql_slave_status_*"},
      {"binlog_size", "mysql_binlog_{size_bytes,files,file_number}"},
      {"engine_innodb_status", "mysql_engine_innodb_*"},
      {"engine_tokudb_status", "mysql_engine_tokudb_*"},
      {"heartbeat", "mysql_heartbeat_{now,stored}_timestamp_seconds"},
      {"slave_hosts", "mysql_heartbeat_mysql_slave_hosts_info"},
      {"auto_increment.columns", "mysql_info_schema_auto_increment_column, ..._column_max"},
      {"info_schema.clientstats", "mysql_info_schema_client_statistics_*"},
      {"info_schema.innodb_cmp", "mysql_info_schema_innodb_cmp_*"},
      {"info_schema.innodb_cmpmem", "mysql_info_schema_innodb_cmpmem_*"},
      {"info_schema.innodb_metrics", "mysql_info_schema_innodb_metrics_*"},
      {"info_schema.innodb_tablespaces", "mysql_info_schema_innodb_tablespace_*"},
      {"info_schema.processlist", "mysql_info_schema_processlist_*"},
      {"info_schema.query_response_time", "mysql_info_schema_query_response_time_seconds"},
      {"info_schema.replica_host", "mysql_info_schema_replica_host_*"},
      {"info_schema.rocksdb_perf_context", "mysql_info_schema_rocksdb_perf_context_*"},
      {"info_schema.schemastats", "mysql_info_schema_schema_statistics_*"},
      {"info_schema.tables", "mysql_info_schema_table_{version,rows,size}"},
      {"info_schema.tablestats", "mysql_info_schema_table_statistics_*"},
      {"info_schema.userstats", "mysql_info_schema_user_statistics_*"},
      {"perf_schema.eventsstatements", "mysql_perf_schema_events_statements_*"},
      {"perf_schema.eventsstatementssum", "mysql_perf_schema_events_statements_sum_*"},
      {"perf_schema.eventswaits", "mysql_perf_schema_events_waits_*"},
      {"perf_schema.file_events", "mysql_perf_schema_file_events_*"},
      {"perf_schema.file_instances", "mysql_perf_schema_file_instances_*"},
      {"perf_schema.indexiowaits", "mysql_perf_schema_index_io_waits_*"},
      {"perf_schema.memory_events", "mysql_perf_schema_memory_events_*"},
      {"perf_schema.replication_applier_status_by_worker",
       "mysql_perf_schema_{last_applied,applying}_transaction_*"},
      {"perf_schema.replication_group_member_stats",
       "mysql_perf_schema_{transactions,conflicts}_*"},
      {"perf_schema.replication_group_members", "mysql_perf_schema_replication_group_member_info"},
      {"perf_schema.tableiowaits", "mysql_perf_schema_table_io_waits_*"},
      {"perf_schema.tablelocks", "mysql_perf_schema_{sql,external}_lock_waits_*"},
      {"mysql.user", "mysql_mysql_*"},
      {"sys.user_summary", "mysql_sys_*"},
  };
  return *families;
}

struct Seen {
  std::string reads;
  bool by_default = false;
  uint64_t files = 0;
  std::map<std::string, MetricFamily> families;
};

void RunHost(const HostOptions& options, std::map<std::string, Seen>& seen) {
  auto collectors = MakeHostCollectors(options);
  ASSERT_TRUE(collectors.ok()) << collectors.status().ToString();
  for (const auto& c : *collectors) {
    Seen& s = seen[std::string(c->name())];
    s.reads = c->reads();
    s.by_default = c->on_by_default();
    EXPECT_FALSE(s.reads.empty()) << c->name() << " does not say what it reads";
    // What the machine under test has is not the same everywhere.
    if (FamiliesOfTheRunningMachine().contains(c->name())) continue;
    MetricSink sink;
    const uint64_t before = FilesOpened();
    (void)c->Collect(sink);
    s.files = std::max(s.files, FilesOpened() - before);
    for (MetricFamily& f : sink.Take()) s.families.emplace(f.name, f);
  }
}

std::string FamilyTable(const std::map<std::string, MetricFamily>& families) {
  std::string out = "\n| family | type | |\n|---|---|---|\n";
  for (const auto& [name, f] : families) {
    std::string help;
    for (const char c : f.metadata.help) {
      if (c == '|' || c == '<') help += '\\';
      help += c;
    }
    StrAppend(out, "| `", name, "` | ", MetricTypeName(f.metadata.type), " | ", help, " |\n");
  }
  return out;
}

std::string HostSection() {
  std::map<std::string, Seen> seen;
  HostOptions machine;
  machine.procfs = "agent/host/testdata/proc";
  machine.sysfs = "agent/host/testdata/sys";
  machine.rootfs = "agent/host/testdata/root";
  machine.netdev_netlink = false;
  machine.cpu_info = true;
  machine.stat_softirq = true;
  RunHost(machine, seen);
  for (const char* tree : {"full", "hardware", "odd"}) {
    vedette::testing::TempDir root;
    vedette::testing::UnpackTree(StrCat("agent/host/testdata/", tree, ".tree"), root.path());
    HostOptions hardware;
    hardware.procfs = root.path() + "/proc";
    hardware.sysfs = root.path() + "/sys";
    hardware.rootfs = root.path();
    hardware.udev_data = root.path() + "/run/udev";
    hardware.cpu_info = true;
    hardware.cpu_flags_include = hardware.cpu_bugs_include = ".*";
    hardware.stat_softirq = true;
    hardware.netdev_netlink = false;
    hardware.bcache_priority_stats = true;
    hardware.sysctl_include = {"fs.file-nr:total,current,max", "kernel.threads-max"};
    hardware.sysctl_include_info = {"kernel.seccomp.actions_avail"};
    RunHost(hardware, seen);
  }

  std::string out =
      "## Host\n\n"
      "node_exporter's families, under its names. `--collector.NAME` and `--no-collector.NAME` "
      "switch; `--help` shows what single collectors can be told. *Files* is what one run opens on "
      "the recorded machines of the tests: a measure of what a collector costs.\n\n"
      "| collector | runs | reads | files |\n|---|---|---|---|\n";
  for (const auto& [name, s] : seen) {
    const bool recorded = !FamiliesOfTheRunningMachine().contains(name);
    StrAppend(out, "| [", name, "](#", name, ") | ", s.by_default ? "by default" : "when asked for",
              " | ", s.reads, " | ", recorded ? StrCat(s.files) : std::string("–"), " |\n");
  }
  for (const auto& [name, s] : seen) {
    StrAppend(out, "\n### ", name, "\n");
    const auto live = FamiliesOfTheRunningMachine().find(name);
    if (live != FamiliesOfTheRunningMachine().end()) {
      StrAppend(out, "\n", live->second, "\n");
    } else {
      EXPECT_FALSE(s.families.empty()) << name << " gives nothing on the recorded machines";
      out += FamilyTable(s.families);
    }
  }
  return out;
}

std::string ContainerSection() {
  std::map<std::string, MetricFamily> families;
  for (const char* version : {"v1", "v2"}) {
    const std::string data = "agent/container/testdata";
    ContainerOptions options;
    options.cgroup = StrCat(data, "/", version);
    options.procfs = data + "/proc";
    options.sysfs = data + "/nosys";
    options.rootfs = data;
    options.watch = options.count_files = false;
    options.runtimes = {{"docker", "/run/docker.sock", []() -> Result<std::vector<ContainerInfo>> {
                           return std::vector<ContainerInfo>{
                               {.id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
                                .name = "web",
                                .image = "shop:1",
                                .labels = {},
                                .created_seconds = 1,
                                .started_seconds = 2,
                                .health = 1,
                                .folders = {}}};
                         }}};
    MetricSink sink;
    EXPECT_TRUE(MakeContainerCollector(std::move(options))->Collect(sink).ok());
    for (MetricFamily& f : sink.Take()) families.emplace(f.name, f);
  }
  return StrCat(
      "\n## Containers\n\n"
      "cAdvisor's families, one sample for each control group: containers, slices, services. `id` is "
      "the group's path, `/` the machine; `name`, `image` and `container_label_*` come from the "
      "socket of Docker, Podman, containerd or CRI-O. A container that is gone before the next scrape is shown for half a minute "
      "with its last values, and `container_last_seen` says when they were read. A run reads about "
      "fifteen small files for each group; what containers' own files take is counted once a minute "
      "on a thread of its own.\n\n"
      "Beside these, where the machine has them: `container_fs_{limit_bytes,usage_bytes,inodes_total,"
      "inodes_free}` and, of the machine's disks, `container_fs_{reads_merged,sector_reads,"
      "read_seconds,writes_merged,sector_writes,write_seconds,io_time_seconds,"
      "io_time_weighted_seconds}_total` and `container_fs_io_current`.\n",
      FamilyTable(families));
}

std::string MysqlSection() {
  std::string out =
      "\n## MySQL and MariaDB\n\n"
      "mysqld_exporter's families. One connection is kept; every collector costs a query or two, and "
      "those that are off by default may cost more on servers with many tables or digests. "
      "`mysql_up`, `mysql_exporter_collector_{success,duration_seconds}`, "
      "`mysql_exporter_{scrapes_total,scrape_errors_total,last_scrape_error}` and "
      "`vedette_mysql_collector_age_seconds` say how it went. What a server has not (TokuDB, group "
      "replication, a column of another fork) is no error; mysqld_exporter counts one at every scrape.\n\n"
      "| collector | runs | families |\n|---|---|---|\n";
  for (const MysqlScraperName& s : MysqlScrapers()) {
    const auto at = FamiliesOfMysql().find(s.name);
    EXPECT_NE(at, FamiliesOfMysql().end()) << s.name << " is not described";
    if (at == FamiliesOfMysql().end()) continue;
    StrAppend(out, "| `", s.name, "` | ", s.by_default ? "by default" : "when asked for", " | ",
              at->second, " |\n");
  }
  return out;
}

std::string ProcessSection() {
  // The families are the same whatever runs.
  auto collector = MakeProcessCollector(ProcessNaming::ByComm({}), {});
  std::map<std::string, MetricFamily> families;
  for (int i = 0; i < 2; ++i) {
    MetricSink sink;
    EXPECT_TRUE(collector->Collect(sink).ok());
    for (MetricFamily& f : sink.Take()) families.emplace(f.name, f);
  }
  return StrCat(
      "\n## Groups of processes\n\n"
      "process-exporter's families, with `--process.config` (its file) or `--process.names`. A run reads "
      "four files of each process that is in a group, and one of each that is not; `--process.smaps` makes "
      "the kernel walk every page of each process.\n",
      FamilyTable(families));
}

std::string ProbeSection() {
  const std::map<std::string, std::set<std::string>> by_prober = {
      {"every probe",
       {"probe_success", "probe_duration_seconds", "probe_dns_lookup_time_seconds",
        "probe_ip_protocol", "probe_ip_addr_hash"}},
      {"http",
       {"probe_http_duration_seconds", "probe_http_redirects", "probe_http_status_code",
        "probe_http_version", "probe_http_ssl", "probe_http_content_length",
        "probe_http_uncompressed_body_length", "probe_http_last_modified_timestamp_seconds",
        "probe_failed_due_to_regex"}},
      {"tcp", {"probe_failed_due_to_regex"}},
      {"icmp", {"probe_icmp_duration_seconds", "probe_icmp_reply_hop_limit"}},
      {"dns",
       {"probe_dns_duration_seconds", "probe_dns_query_succeeded", "probe_dns_answer_rrs",
        "probe_dns_authority_rrs", "probe_dns_additional_rrs", "probe_dns_serial"}},
      {"grpc",
       {"probe_grpc_duration_seconds", "probe_grpc_ssl", "probe_grpc_status_code",
        "probe_grpc_healthcheck_response"}},
      {"http, tcp and grpc over TLS",
       {"probe_ssl_earliest_cert_expiry", "probe_ssl_last_chain_expiry_timestamp_seconds",
        "probe_ssl_last_chain_info", "probe_tls_version_info", "probe_tls_cipher_info"}}};
  // Nobody listens there: what a probe says all the same has to be on the page.
  const ProbeModules modules = DefaultProbeModules();
  for (const char* name : {"http_2xx", "tcp_connect", "icmp", "grpc_plain"}) {
    const ProbeModule& module = modules.at(name);
    const std::string target = module.prober == "icmp" ? "127.0.0.1" : "127.0.0.1:1";
    for (const MetricFamily& f : RunProbe(module, target, 1'000).families) {
      EXPECT_TRUE(by_prober.at("every probe").contains(f.name) ||
                  by_prober.at(module.prober).contains(f.name))
          << f.name << " of " << module.prober << " is not on the page";
    }
  }
  std::string out =
      "\n## Probes\n\n"
      "blackbox_exporter's families, at every collection for each `--probe.target=MODULE=TARGET` (with the "
      "labels `module` and `target`), and on `/probe?module=M&target=T` for a real Prometheus. A probe costs "
      "what it does: one look-up, one connection, one request.\n\n"
      "| prober | families |\n|---|---|\n";
  for (const auto& [prober, families] : by_prober) {
    std::string list;
    for (const std::string& f : families) StrAppend(list, list.empty() ? "" : ", ", "`", f, "`");
    StrAppend(out, "| ", prober, " | ", list, " |\n");
  }
  return out;
}

TEST(CollectorsPage, SaysWhatTheCollectorsDo) {
  const std::string page = StrCat(
      "# Collectors\n\n"
      "Every family that the agent gives, where it comes from and what it costs. This page is made "
      "from the collectors by `tests/docs/collectors_doc_test.cc`, which fails when it is not "
      "true.\n\n",
      HostSection(), ContainerSection(), MysqlSection(), ProcessSection(), ProbeSection());
  if (const char* path = std::getenv("VEDETTE_COLLECTORS_PAGE")) std::ofstream(path) << page;
  vedette::testing::ExpectGolden("docs/collectors.md", page);
}

}  // namespace
}  // namespace vedette::agent
