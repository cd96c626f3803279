#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "agent/collector/collector.h"
#include "agent/host/filter.h"
#include "agent/host/host.h"

namespace vedette::agent {

// Host is what every host collector is given: where the files are, and the compiled filters of what
// to leave out. Made once, never changed, shared by all collectors.
struct Host {
  HostOptions options;

  Filter arp, cpu_flags, cpu_bugs, diskstats, ethtool, ethtool_metrics, hwmon_chip, hwmon_sensor,
      interrupts, mount_points, fs_types, netclass, netdev, netstat, powersupply, qdisc, slabinfo,
      systemd_units, vmstat;

  // "sys/fs/file-nr" under procfs, "class/net" under sysfs, "etc/os-release" under the root.
  std::string Proc(std::string_view path) const;
  std::string Sys(std::string_view path) const;
  std::string Root(std::string_view path) const;
};

using HostPtr = std::shared_ptr<const Host>;

// INVALID_ARGUMENT names the flag whose expression is no expression.
Result<HostPtr> MakeHost(const HostOptions& options);

// A file that holds one number, and the family that shows it.
struct NumberFile {
  const char* file;
  const char* family;
  const char* help;
  MetricType type = MetricType::kGauge;
  double unit = 1;  // What the number is multiplied by.
};

// What is shown of a file that is not there, or holds no number.
enum class Absent { kNothing, kZero };

// Adds a sample for each of the files that is there. Numbers may be decimal or, with 0x, hexadecimal.
void AddNumberFiles(std::string_view directory, std::span<const NumberFile> files,
                    LabelPairs labels, MetricSink& sink, Absent absent = Absent::kNothing);

}  // namespace vedette::agent
