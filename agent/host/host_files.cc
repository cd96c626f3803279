#include "agent/host/host_files.h"

#include <cmath>
#include <optional>
#include <utility>

#include "agent/host/files.h"
#include "common/base/strings.h"

namespace vedette::agent {

std::string Host::Proc(std::string_view path) const { return StrCat(options.procfs, "/", path); }
std::string Host::Sys(std::string_view path) const { return StrCat(options.sysfs, "/", path); }
std::string Host::Root(std::string_view path) const {
  return StrCat(options.rootfs == "/" ? "" : options.rootfs, "/", path);
}

Result<HostPtr> MakeHost(const HostOptions& o) {
  auto host = std::make_shared<Host>();
  host->options = o;
  struct Wanted {
    Filter Host::* filter;
    const char* flag;
    const std::string& include;
    const std::string& exclude;
  };
  const std::string none;
  const auto whole = [](const std::string& text) {
    return text.empty() ? text : StrCat("^(?:", text, ")$");
  };
  const std::string unit_include = whole(o.systemd_unit_include);
  const std::string unit_exclude = whole(o.systemd_unit_exclude);
  const Wanted wanted[] = {
      {&Host::arp, "arp.device", o.arp_device_include, o.arp_device_exclude},
      {&Host::cpu_flags, "cpu.info.flags", o.cpu_flags_include, none},
      {&Host::cpu_bugs, "cpu.info.bugs", o.cpu_bugs_include, none},
      {&Host::diskstats, "diskstats.device", o.diskstats_device_include,
       o.diskstats_device_exclude},
      {&Host::ethtool, "ethtool.device", o.ethtool_device_include, o.ethtool_device_exclude},
      {&Host::ethtool_metrics, "ethtool.metrics", o.ethtool_metrics_include, none},
      {&Host::hwmon_chip, "hwmon.chip", o.hwmon_chip_include, o.hwmon_chip_exclude},
      {&Host::hwmon_sensor, "hwmon.sensor", o.hwmon_sensor_include, o.hwmon_sensor_exclude},
      {&Host::interrupts, "interrupts.name", o.interrupts_name_include, o.interrupts_name_exclude},
      {&Host::mount_points, "filesystem.mount-points", o.filesystem_mount_points_include,
       o.filesystem_mount_points_exclude},
      {&Host::fs_types, "filesystem.fs-types", o.filesystem_fs_types_include,
       o.filesystem_fs_types_exclude},
      {&Host::netclass, "netclass.ignored-devices", none, o.netclass_ignored_devices},
      {&Host::netdev, "netdev.device", o.netdev_device_include, o.netdev_device_exclude},
      {&Host::netstat, "netstat.fields", o.netstat_fields, none},
      {&Host::powersupply, "powersupply.ignored-supplies", none, o.powersupply_ignored},
      {&Host::qdisc, "qdisc.device", o.qdisc_device_include, o.qdisc_device_exclude},
      {&Host::slabinfo, "slabinfo.slabs", o.slabinfo_slabs_include, o.slabinfo_slabs_exclude},
      {&Host::systemd_units, "systemd.unit", unit_include, unit_exclude},
      {&Host::vmstat, "vmstat.fields", o.vmstat_fields, none},
  };
  for (const Wanted& w : wanted) {
    VEDETTE_ASSIGN_OR_RETURN((*host).*w.filter,
                             Filter::Make(StrCat("--collector.", w.flag), w.include, w.exclude));
  }
  return HostPtr(std::move(host));
}

void AddNumberFiles(std::string_view directory, std::span<const NumberFile> files,
                    LabelPairs labels, MetricSink& sink, Absent absent) {
  for (const NumberFile& f : files) {
    const std::optional<std::string> text = ReadAttribute(StrCat(directory, "/", f.file));
    std::optional<double> value = text ? AnyNumber(*text) : std::nullopt;
    if (!value && absent == Absent::kZero) value = 0;
    if (!value) continue;
    sink.Family(f.family, f.type, f.help);
    // A thousandth is divided by a thousand, so that 771 ms read 0.771 and not 0.7710000000000001.
    sink.Add(labels, f.unit < 1 ? *value / std::round(1 / f.unit) : *value * f.unit);
  }
}

}  // namespace vedette::agent
