#pragma once

#include "agent/host/function_collector.h"
#include "agent/host/host_files.h"

namespace vedette::agent {

// The host collectors by subject, one function a file. Each adds its collectors to `out`, in the
// order in which they are shown.

// cpu, cpufreq, cpu_vulnerabilities.
void AddCpuCollectors(const HostPtr& host, Collectors& out);
// stat, schedstat, softnet, softirqs, interrupts, loadavg, pressure.
void AddSchedulerCollectors(const HostPtr& host, Collectors& out);
// meminfo, vmstat, meminfo_numa, buddyinfo, slabinfo, zoneinfo, ksmd, swap.
void AddMemoryCollectors(const HostPtr& host, Collectors& out);
// diskstats: block devices, with what udev knows of them.
void AddDiskCollectors(const HostPtr& host, Collectors& out);
// filesystem: room and inodes of every mount that passes both filters.
void AddFilesystemCollectors(const HostPtr& host, Collectors& out);
// netdev (traffic of every interface) and netclass (what /sys/class/net says of it).
void AddInterfaceCollectors(const HostPtr& host, Collectors& out);
// netstat, sockstat, udp_queues, conntrack, arp, lnstat, xfrm, ipvs: what the protocols count.
void AddProtocolCollectors(const HostPtr& host, Collectors& out);
// bonding, network_route, qdisc, tcpstat: what the kernel tells over netlink, and bonds.
void AddNetlinkCollectors(const HostPtr& host, Collectors& out);
// ethtool: what the drivers of network devices count.
void AddEthtoolCollectors(const HostPtr& host, Collectors& out);
// wifi: wireless devices and their stations.
void AddWifiCollectors(const HostPtr& host, Collectors& out);
// uname, os, time, timex, filefd, entropy, selinux, kernel_hung, cgroups.
void AddSystemCollectors(const HostPtr& host, Collectors& out);
// processes: how many there are, in which state. sysctl: chosen kernel parameters.
void AddProcessCollectors(const HostPtr& host, Collectors& out);
// thermal_zone, hwmon: temperatures, fans, voltages.
void AddSensorCollectors(const HostPtr& host, Collectors& out);
// dmi, edac, powersupplyclass, rapl, watchdog, pcidevice.
void AddHardwareCollectors(const HostPtr& host, Collectors& out);
// mdadm, drbd, dmmultipath: disks that are made of others.
void AddRaidCollectors(const HostPtr& host, Collectors& out);
// nvme, tapestats, fibrechannel: storage and its links under /sys/class.
void AddStorageLinkCollectors(const HostPtr& host, Collectors& out);
// infiniband: ports of adapters, and what they count.
void AddInfinibandCollectors(const HostPtr& host, Collectors& out);
// bcache, bcachefs.
void AddBcacheCollectors(const HostPtr& host, Collectors& out);
// btrfs, xfs.
void AddBtrfsXfsCollectors(const HostPtr& host, Collectors& out);
// zfs.
void AddZfsCollectors(const HostPtr& host, Collectors& out);
// nfs, nfsd: calls by method, as client and as server.
void AddNfsCollectors(const HostPtr& host, Collectors& out);
// mountstats: what each NFS mount counts.
void AddMountstatsCollectors(const HostPtr& host, Collectors& out);
// textfile: *.prom files that cron jobs and scripts drop.
void AddTextfileCollectors(const HostPtr& host, Collectors& out);
// systemd, logind: over D-Bus.
void AddSystemdCollectors(const HostPtr& host, Collectors& out);

}  // namespace vedette::agent
