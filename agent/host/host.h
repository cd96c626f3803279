#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agent/collector/collector.h"
#include "common/base/status.h"

namespace vedette::agent {

// Where the host's files are, and what to leave out: node_exporter's flags and defaults.
struct HostOptions {
  std::string procfs = "/proc";
  std::string sysfs = "/sys";
  std::string rootfs = "/";
  std::string udev_data = "/run/udev/data";

  // Pairs of --collector.X.include and --collector.X.exclude: expressions that are searched for.
  std::string arp_device_include, arp_device_exclude;
  bool arp_netlink = false;  // Off: /proc/net/arp, which shows the same.
  bool bcache_priority_stats = false;
  bool cpu_guest = true;
  bool cpu_info = false;
  std::string cpu_flags_include, cpu_bugs_include;  // Each turns cpu_info on.
  std::string diskstats_device_include;
  std::string diskstats_device_exclude = R"(^(ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$)";
  std::string ethtool_device_include, ethtool_device_exclude;
  std::string ethtool_metrics_include = ".*";
  std::string filesystem_mount_points_include;
  std::string filesystem_mount_points_exclude =
      R"(^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/))";
  std::string filesystem_fs_types_include;
  std::string filesystem_fs_types_exclude =
      "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|"
      "iso9660|"
      "mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|sysfs|"
      "tracefs)$";
  int64_t filesystem_mount_timeout_ms = 5000;
  std::string hwmon_chip_include, hwmon_chip_exclude, hwmon_sensor_include, hwmon_sensor_exclude;
  std::string interrupts_name_include, interrupts_name_exclude;
  bool interrupts_include_zeros = true;
  std::string ipvs_backend_labels =
      "local_address,local_port,remote_address,remote_port,proto,local_mark";
  std::string netclass_ignored_devices = "^$";
  bool netclass_ignore_invalid_speed = false;
  std::string netdev_device_include, netdev_device_exclude;
  bool netdev_netlink = true;  // Off: read net/dev under procfs, which knows less.
  bool netdev_address_info = false;
  std::string netstat_fields =
      "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)|"
      "TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)|"
      "Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)|"
      "Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$";
  std::string powersupply_ignored = "^$";
  std::string qdisc_device_include, qdisc_device_exclude;
  std::string qdisc_fixtures;  // A folder whose results.json is shown instead of the kernel's.
  bool rapl_zone_label = false;
  std::string slabinfo_slabs_include = ".*", slabinfo_slabs_exclude;
  bool stat_softirq = false;
  std::vector<std::string> sysctl_include, sysctl_include_info;
  std::string systemd_unit_include = ".+";
  std::string systemd_unit_exclude = R"(.+\.(automount|device|mount|scope|slice))";
  bool systemd_restarts = false, systemd_start_time = false, systemd_tasks = false;
  // Where D-Bus is, and the address of systemd's own socket for those who run without a bus.
  std::string dbus_socket = "/run/dbus/system_bus_socket";
  bool systemd_private = false;
  std::vector<std::string> textfile_directories;  // May be patterns as in a shell.
  std::string vmstat_fields = "^(oom_kill|pgpg|pswp|pg.*fault).*";
  std::string wifi_fixtures;  // A folder whose JSON files are shown instead of the kernel's answer.
};

// Every host collector, each under node_exporter's name for it. The options are checked here: a bad
// expression is INVALID_ARGUMENT and names its flag.
Result<std::vector<std::unique_ptr<Collector>>> MakeHostCollectors(const HostOptions& options);

}  // namespace vedette::agent
