#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/collector/collector.h"
#include "common/base/status.h"

namespace vedette::agent {

// Where the host's files are, and what to leave out: node_exporter's flags and defaults. All
// expressions are RE2 and anchored by the collector that uses them as node_exporter anchors them.
struct HostOptions {
  std::string procfs = "/proc";
  std::string sysfs = "/sys";
  std::string rootfs = "/";
  std::string udev_data = "/run/udev/data";

  std::string diskstats_device_exclude = R"(^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$)";
  std::string diskstats_device_include;
  std::string filesystem_mount_points_exclude =
      R"(^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/))";
  std::string filesystem_fs_types_exclude =
      "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|"
      "iso9660|"
      "mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|sysfs|"
      "tracefs)$";
  int filesystem_mount_timeout_ms = 5000;
  std::string netdev_device_exclude;
  std::string netdev_device_include;
  bool netdev_netlink = true;  // Off: read net/dev under procfs, which knows less.
  std::string netclass_ignored_devices = "^$";
  bool netclass_ignore_invalid_speed = false;
  std::string netstat_fields =
      "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)|"
      "TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)|"
      "Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)|"
      "Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$";
  std::string vmstat_fields = "^(oom_kill|pgpg|pswp|pg.*fault).*";
  bool cpu_guest = true;
  bool cpu_info = false;
  bool stat_softirq = false;
};

// Every host collector, each under node_exporter's name for it. The options are checked here: a bad
// expression is INVALID_ARGUMENT and names its flag.
Result<std::vector<std::unique_ptr<Collector>>> MakeHostCollectors(const HostOptions& options);

}  // namespace vedette::agent
