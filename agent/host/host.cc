#include "agent/host/host.h"

#include "agent/host/cpu.h"
#include "agent/host/disk.h"
#include "agent/host/filesystem.h"
#include "agent/host/filter.h"
#include "agent/host/memory.h"
#include "agent/host/network.h"
#include "agent/host/system.h"

namespace vedette::agent {

Result<std::vector<std::unique_ptr<Collector>>> MakeHostCollectors(const HostOptions& o) {
  VEDETTE_ASSIGN_OR_RETURN(const Filter disks,
                           Filter::Make("--collector.diskstats.device", o.diskstats_device_include,
                                        o.diskstats_device_exclude));
  VEDETTE_ASSIGN_OR_RETURN(
      const Filter mount_points,
      Filter::Make("--collector.filesystem.mount-points", "", o.filesystem_mount_points_exclude));
  VEDETTE_ASSIGN_OR_RETURN(const Filter fs_types, Filter::Make("--collector.filesystem.fs-types",
                                                               "", o.filesystem_fs_types_exclude));
  VEDETTE_ASSIGN_OR_RETURN(
      const Filter netdev,
      Filter::Make("--collector.netdev.device", o.netdev_device_include, o.netdev_device_exclude));
  VEDETTE_ASSIGN_OR_RETURN(
      const Filter netclass,
      Filter::Make("--collector.netclass.ignored-devices", "", o.netclass_ignored_devices));
  VEDETTE_ASSIGN_OR_RETURN(const Filter netstat,
                           Filter::Make("--collector.netstat.fields", o.netstat_fields, ""));
  VEDETTE_ASSIGN_OR_RETURN(const Filter vmstat,
                           Filter::Make("--collector.vmstat.fields", o.vmstat_fields, ""));
  Collectors out;
  AddCpuCollectors(o, out);
  AddMemoryCollectors(o, vmstat, out);
  AddDiskCollectors(o, disks, out);
  AddFilesystemCollectors(o, mount_points, fs_types, out);
  AddInterfaceCollectors(o, netdev, netclass, out);
  AddProtocolCollectors(o, netstat, out);
  AddSystemCollectors(o, out);
  return out;
}

}  // namespace vedette::agent
