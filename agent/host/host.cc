#include "agent/host/host.h"

#include "agent/host/collector_groups.h"
#include "agent/host/host_files.h"

namespace vedette::agent {

Result<std::vector<std::unique_ptr<Collector>>> MakeHostCollectors(const HostOptions& options) {
  VEDETTE_ASSIGN_OR_RETURN(const HostPtr host, MakeHost(options));
  Collectors out;
  AddCpuCollectors(host, out);
  AddSchedulerCollectors(host, out);
  AddMemoryCollectors(host, out);
  AddDiskCollectors(host, out);
  AddFilesystemCollectors(host, out);
  AddInterfaceCollectors(host, out);
  AddProtocolCollectors(host, out);
  AddNetlinkCollectors(host, out);
  AddEthtoolCollectors(host, out);
  AddWifiCollectors(host, out);
  AddSystemCollectors(host, out);
  AddProcessCollectors(host, out);
  AddSensorCollectors(host, out);
  AddHardwareCollectors(host, out);
  AddRaidCollectors(host, out);
  AddStorageLinkCollectors(host, out);
  AddInfinibandCollectors(host, out);
  AddBcacheCollectors(host, out);
  AddBtrfsXfsCollectors(host, out);
  AddZfsCollectors(host, out);
  AddNfsCollectors(host, out);
  AddMountstatsCollectors(host, out);
  AddTextfileCollectors(host, out);
  AddSystemdCollectors(host, out);
  return out;
}

}  // namespace vedette::agent
