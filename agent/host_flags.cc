#include "agent/host_flags.h"

#include <utility>

#include "common/base/strings.h"

namespace vedette::agent {
namespace {

// A pair of flags that choose by name.
struct Pair {
  const char* flag;  // Without --collector. and without -include or -exclude.
  std::string HostOptions::* include;
  std::string HostOptions::* exclude;
  const char* what;
};

constexpr Pair kPairs[] = {
    {"arp.device", &HostOptions::arp_device_include, &HostOptions::arp_device_exclude,
     "devices in the table of neighbours"},
    {"diskstats.device", &HostOptions::diskstats_device_include,
     &HostOptions::diskstats_device_exclude, "disks"},
    {"ethtool.device", &HostOptions::ethtool_device_include, &HostOptions::ethtool_device_exclude,
     "network devices whose drivers are asked"},
    {"filesystem.mount-points", &HostOptions::filesystem_mount_points_include,
     &HostOptions::filesystem_mount_points_exclude, "mount points"},
    {"filesystem.fs-types", &HostOptions::filesystem_fs_types_include,
     &HostOptions::filesystem_fs_types_exclude, "types of file systems"},
    {"hwmon.chip", &HostOptions::hwmon_chip_include, &HostOptions::hwmon_chip_exclude,
     "chips with sensors"},
    {"hwmon.sensor", &HostOptions::hwmon_sensor_include, &HostOptions::hwmon_sensor_exclude,
     "sensors, as CHIP;SENSOR"},
    {"interrupts.name", &HostOptions::interrupts_name_include,
     &HostOptions::interrupts_name_exclude, "interrupts, as TYPE;INFO;DEVICES"},
    {"netdev.device", &HostOptions::netdev_device_include, &HostOptions::netdev_device_exclude,
     "network devices"},
    {"qdisc.device", &HostOptions::qdisc_device_include, &HostOptions::qdisc_device_exclude,
     "network devices whose queues are shown"},
    {"slabinfo.slabs", &HostOptions::slabinfo_slabs_include, &HostOptions::slabinfo_slabs_exclude,
     "slabs"},
    {"systemd.unit", &HostOptions::systemd_unit_include, &HostOptions::systemd_unit_exclude,
     "units, anchored at both ends"},
};

}  // namespace

void HostFlags::Add(flags::Flags& flags) {
  HostOptions& h = host_;
  flags.Group("Paths");
  flags.Add("path.procfs", &h.procfs, "Mount point of procfs.");
  flags.Add("path.sysfs", &h.sysfs, "Mount point of sysfs.");
  flags.Add("path.rootfs", &h.rootfs, "Where the host's root is mounted.");
  flags.Add("path.udev.data", &h.udev_data, "udev's data.");
  flags.Group("Host collectors");
  for (const Pair& p : kPairs) {
    flags.Add(StrCat("collector.", p.flag, "-include"), &(h.*p.include),
              StrCat("Expression for ", p.what, ": only those that match are shown."));
    flags.Add(StrCat("collector.", p.flag, "-exclude"), &(h.*p.exclude),
              StrCat("Expression for ", p.what, ": those that match are left out."));
  }
  flags.Add("collector.arp.netlink", &h.arp_netlink,
            "Ask the kernel for neighbours rather than reading /proc/net/arp.");
  flags.Add("collector.bcache.priorityStats", &h.bcache_priority_stats,
            "Show priority_stats, which makes the kernel sort all buckets of a cache.");
  flags.Add("collector.cpu.guest", &h.cpu_guest, "Show node_cpu_guest_seconds_total.");
  flags.Add("collector.cpu.info", &h.cpu_info, "Show node_cpu_info.");
  flags.Add("collector.cpu.info.flags-include", &h.cpu_flags_include,
            "Expression for flags of the CPU to show.");
  flags.Add("collector.cpu.info.bugs-include", &h.cpu_bugs_include,
            "Expression for bugs of the CPU to show.");
  flags.Add("collector.ethtool.metrics-include", &h.ethtool_metrics_include,
            "Expression for drivers' counters to show.");
  flags.AddDuration("collector.filesystem.mount-timeout", &h.filesystem_mount_timeout_ms,
                    "How long a mount may take to answer before it counts as dead; till then it is "
                    "shown as it was last seen.");
  flags.Add("collector.interrupts.include-zeros", &h.interrupts_include_zeros,
            "Show interrupts that never happened, too.");
  flags.Add("collector.ipvs.backend-labels", &h.ipvs_backend_labels,
            "Labels of IPVS backends, with commas between; backends that look alike are added up.");
  flags.Add("collector.netclass.ignored-devices", &h.netclass_ignored_devices,
            "Expression for network devices that netclass leaves out.");
  flags.Add("collector.netclass.ignore-invalid-speed", &h.netclass_ignore_invalid_speed,
            "Leave out a speed that the device does not know.");
  flags.Add("collector.netdev.netlink", &h.netdev_netlink,
            "Read network devices by netlink rather than from procfs.");
  flags.Add("collector.netdev.address-info", &h.netdev_address_info,
            "Show the addresses of network devices.");
  flags.Add("collector.netstat.fields", &h.netstat_fields, "Expression for fields of netstat.");
  flags.Add("collector.powersupply.ignored-supplies", &h.powersupply_ignored,
            "Expression for power supplies to leave out.");
  flags.Add("collector.qdisc.fixtures", &h.qdisc_fixtures,
            "Folder whose results.json is shown instead of the kernel's queues.");
  flags.Add("collector.rapl.enable-zone-label", &h.rapl_zone_label,
            "One family with the zone as a label, rather than a family for each zone.");
  flags.Add("collector.stat.softirq", &h.stat_softirq, "Show softirqs by vector.");
  flags.Add("collector.sysctl.include", &h.sysctl_include,
            "A kernel parameter to show: kernel.threads-max, or fs.file-nr:total,current,max to "
            "name its columns; may be given several times.");
  flags.Add("collector.sysctl.include-info", &h.sysctl_include_info,
            "A kernel parameter to show as text in a label; may be given several times.");
  flags.Add("collector.systemd.enable-restarts-metrics", &h.systemd_restarts,
            "Show how often systemd restarted a service.");
  flags.Add("collector.systemd.enable-start-time-metrics", &h.systemd_start_time,
            "Show when units started.");
  flags.Add("collector.systemd.enable-task-metrics", &h.systemd_tasks,
            "Show how many tasks services have, and may have.");
  flags.Add("collector.systemd.private", &h.systemd_private,
            "Ask systemd itself, without a D-Bus; wants root.");
  flags.Add("collector.textfile.directory", &h.textfile_directories,
            "Folder, or a pattern for folders, whose *.prom files are shown; may be given several "
            "times.");
  flags.Add("collector.vmstat.fields", &h.vmstat_fields, "Expression for fields of vmstat.");
  flags.Add("collector.wifi.fixtures", &h.wifi_fixtures,
            "Folder whose JSON files are shown instead of the kernel's wireless devices.");

  flags.Group("Old spellings of node_exporter's flags");
  const auto old = [&](const char* name, const char* now, std::string* target) {
    old_.push_back(std::make_unique<Old>(Old{name, now, target, {}}));
    flags.Add(StrCat("collector.", name), &old_.back()->value,
              StrCat("Of old for --collector.", now, "."));
  };
  old("diskstats.ignored-devices", "diskstats.device-exclude", &h.diskstats_device_exclude);
  old("ethtool.ignored-devices", "ethtool.device-exclude", &h.ethtool_device_exclude);
  old("filesystem.ignored-fs-types", "filesystem.fs-types-exclude", &h.filesystem_fs_types_exclude);
  old("filesystem.ignored-mount-points", "filesystem.mount-points-exclude",
      &h.filesystem_mount_points_exclude);
  old("netdev.device-blacklist", "netdev.device-exclude", &h.netdev_device_exclude);
  old("netdev.device-whitelist", "netdev.device-include", &h.netdev_device_include);
  old("netdev.ignored-devices", "netdev.device-exclude", &h.netdev_device_exclude);
  old("qdisk.device-exclude", "qdisc.device-exclude", &h.qdisc_device_exclude);
  old("qdisk.device-include", "qdisc.device-include", &h.qdisc_device_include);
  old("systemd.unit-blacklist", "systemd.unit-exclude", &h.systemd_unit_exclude);
  old("systemd.unit-whitelist", "systemd.unit-include", &h.systemd_unit_include);
  // Collectors that there are not here, and flags of newer node_exporters that ask for what is done
  // without asking.
  for (const char* gone : {"ntp", "runit", "supervisord", "perf", "nvmesubsystem"}) {
    flags.AddIgnored(StrCat("collector.", gone), false);
  }
  flags.AddIgnored("collector.netclass.netlink", false);
  flags.AddIgnored("collector.netclass_rtnl.with-stats", false);
  flags.AddIgnored("collector.netdev.label-ifalias", false);
  flags.AddIgnored("collector.netdev.enable-detailed-metrics", false);
  flags.AddIgnored("collector.filesystem.stat-workers", true);
  flags.AddIgnored("runtime.gomaxprocs", true);
  flags.AddIgnored("web.max-requests", true);
  flags.AddIgnored("web.disable-exporter-metrics", false);
}

Status HostFlags::Finish(const flags::Flags& flags) {
  for (const auto& o : old_) {
    if (!flags.Given(StrCat("collector.", o->name))) continue;
    if (flags.Given(StrCat("collector.", o->now))) {
      return InvalidArgument(StrCat("--collector.", o->name, " is the old spelling of --collector.",
                                    o->now, ": give one of them"));
    }
    *o->target = o->value;
  }
  return {};
}

CollectorSwitches::CollectorSwitches() {
  std::vector<std::pair<std::string, bool>> all = {{"container", true}};
  const auto host = MakeHostCollectors({});
  if (host.ok()) {
    for (const auto& c : *host) all.emplace_back(std::string(c->name()), c->on_by_default());
  }
  on_ = std::make_unique<bool[]>(all.size());
  for (size_t i = 0; i < all.size(); ++i) {
    names_.push_back(all[i].first);
    on_[i] = all[i].second;
  }
}

void CollectorSwitches::Add(flags::Flags& flags) {
  for (size_t i = 0; i < names_.size(); ++i) {
    flags.Add(StrCat("collector.", names_[i]), &on_[i],
              StrCat("Run the collector ", names_[i], "."));
  }
}

void CollectorSwitches::Finish(const flags::Flags& flags, std::vector<std::string>& enabled,
                               std::vector<std::string>& disabled) const {
  for (size_t i = 0; i < names_.size(); ++i) {
    if (!on_[i]) {
      disabled.push_back(names_[i]);
    } else if (flags.Given(StrCat("collector.", names_[i]))) {
      enabled.push_back(names_[i]);
    }
  }
}

}  // namespace vedette::agent
