#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/host/collector_groups.h"
#include "agent/host/files.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

int CountOf(std::string_view text, std::string_view what) {
  int count = 0;
  for (size_t at = text.find(what); at != std::string_view::npos;
       at = text.find(what, at + what.size())) {
    ++count;
  }
  return count;
}

struct MdDevice {
  std::string name;
  std::string_view state = "active";
  int active = 0, required = 0, failed = 0, spare = 0;
  double blocks = 0, synced = 0;
};

// "[8/7]": how many disks the array wants and how many it has.
std::optional<std::pair<int, int>> Members(std::string_view line) {
  for (size_t open = line.find('['); open != std::string_view::npos;
       open = line.find('[', open + 1)) {
    const std::string_view inside = line.substr(open + 1, line.find(']', open) - open - 1);
    const size_t slash = inside.find('/');
    if (slash == std::string_view::npos) continue;
    const auto wanted = Number<int>(inside.substr(0, slash));
    const auto present = Number<int>(inside.substr(slash + 1));
    if (wanted && present) return std::pair(*wanted, *present);
  }
  return std::nullopt;
}

// A device is a line with its name, its state and its disks, a line with its size, perhaps one with
// its bitmap, and one with how far a resync, recovery, check or reshape has come.
Result<MdDevice> ParseMd(std::string_view device, std::string_view status,
                         std::string_view progress) {
  const auto words = Words(device);
  MdDevice md{.name = std::string(words[0])};
  const bool inactive = words[2] == "inactive";
  md.failed = CountOf(device, "(F)");
  md.spare = CountOf(device, "(S)");
  md.blocks = Real(Trim(status)).value_or(0);
  md.synced = md.blocks;
  if (inactive) {
    md.state = "inactive";
    // A striped or linear array has no redundancy to count: what it has is what it needs.
  } else if (device.find("raid0") != std::string_view::npos ||
             device.find("linear") != std::string_view::npos) {
    md.active = md.required = CountOf(device, "[");
  } else {
    const auto members = Members(status);
    if (!members) {
      return DataLoss(StrCat("mdstat: ", md.name, ": no [wanted/present] in ", Quoted(status)));
    }
    md.required = members->first;
    md.active = members->second;
  }
  const auto has = [&](std::string_view word) {
    return progress.find(word) != std::string_view::npos;
  };
  const bool moving = has("recovery") || has("resync") || has("check") || has("reshape");
  if (inactive || !moving) return md;
  md.state = has("recovery") ? "recovering" : has("resync") ? "resync" : has("check") ? "check"
                                                                                     : "reshape";
  md.synced = 0;  // PENDING or DELAYED, unless it says how far it is: "(114176/1993728)".
  if (const size_t open = progress.find('('); open != std::string_view::npos) {
    md.synced = Real(progress.substr(open + 1)).value_or(0);
  }
  return md;
}

Status CollectMdadm(const Host& host, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(host.Proc("mdstat")));
  const auto lines = Split(text, '\n');
  const auto add = [&](const MdDevice& md, const char* name, const char* help, double value) {
    sink.Family(name, MetricType::kGauge, help);
    sink.Add({{"device", md.name}}, value);
  };
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string_view line = lines[i];
    if (line.empty() || line[0] == ' ' || line[0] == '\t' || line.starts_with("Personalities") ||
        line.starts_with("unused") || Words(line).size() < 3) {
      continue;
    }
    const auto at = [&](size_t n) { return n < lines.size() ? lines[n] : std::string_view(); };
    const bool bitmap = at(i + 2).find("bitmap") != std::string_view::npos;
    VEDETTE_ASSIGN_OR_RETURN(const MdDevice md, ParseMd(line, at(i + 1), at(i + (bitmap ? 3 : 2))));
    add(md, "node_md_disks_required", "Total number of disks of device.", md.required);
    sink.Family("node_md_disks", MetricType::kGauge, "Number of active/failed/spare disks of device.");
    sink.Add({{"device", md.name}, {"state", "active"}}, md.active);
    sink.Add({{"device", md.name}, {"state", "failed"}}, md.failed);
    sink.Add({{"device", md.name}, {"state", "spare"}}, md.spare);
    sink.Family("node_md_state", MetricType::kGauge, "Indicates the state of md-device.");
    for (const char* state : {"active", "inactive", "recovering", "resync", "check"}) {
      sink.Add({{"device", md.name}, {"state", state}}, md.state == state ? 1 : 0);
    }
    if (md.state == "reshape") sink.Add({{"device", md.name}, {"state", "reshape"}}, 1);
    add(md, "node_md_blocks", "Total number of blocks on device.", md.blocks);
    add(md, "node_md_blocks_synced", "Number of blocks synced on device.", md.synced);
  }
  const std::string block = host.Sys("block");
  for (const std::string& name : ListDirectory(block)) {
    if (!name.starts_with("md")) continue;
    static constexpr NumberFile kFiles[] = {
        {"raid_disks", "node_md_raid_disks", "Number of raid disks on device."},
        {"degraded", "node_md_degraded", "Number of degraded disks on device."}};
    AddNumberFiles(StrCat(block, "/", name, "/md"), kFiles, {{"device", name}}, sink);
  }
  return {};
}

// "1: cs:Connected ro:Primary/Primary ds:UpToDate/UpToDate" and a line of "ns:17324442" pairs.
Status CollectDrbd(const Host& host, MetricSink& sink) {
  struct Number {
    std::string_view key;
    const char* family;
    const char* help;
    MetricType type;
    double unit = 1;
  };
  using enum MetricType;
  static constexpr Number kNumbers[] = {
      {"ns", "node_drbd_network_sent_bytes_total", "Total number of bytes sent via the network.",
       kCounter, 1024},
      {"nr", "node_drbd_network_received_bytes_total",
       "Total number of bytes received via the network.", kCounter, 1},
      {"dw", "node_drbd_disk_written_bytes_total",
       "Net data written on local hard disk; in bytes.", kCounter, 1024},
      {"dr", "node_drbd_disk_read_bytes_total", "Net data read from local hard disk; in bytes.",
       kCounter, 1024},
      {"al", "node_drbd_activitylog_writes_total",
       "Number of updates of the activity log area of the meta data.", kCounter},
      {"bm", "node_drbd_bitmap_writes_total",
       "Number of updates of the bitmap area of the meta data.", kCounter},
      {"lo", "node_drbd_local_pending", "Number of open requests to the local I/O sub-system.",
       kGauge},
      {"pe", "node_drbd_remote_pending",
       "Number of requests sent to the peer that have not yet been answered.", kGauge},
      {"ua", "node_drbd_remote_unacknowledged",
       "Number of requests received by the peer that have not yet been answered.", kGauge},
      {"ap", "node_drbd_application_pending",
       "Number of block I/O requests forwarded to DRBD, but not yet answered by DRBD.", kGauge},
      {"ep", "node_drbd_epochs", "Number of Epochs currently on the fly.", kGauge},
      {"oos", "node_drbd_out_of_sync_bytes",
       "Amount of data known to be out of sync; in bytes.", kGauge, 1024},
  };
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(host.Proc("drbd")));
  std::string device;
  const auto add = [&](const char* family, const char* help, const char* node, bool value) {
    sink.Family(family, MetricType::kGauge, help);
    sink.Add({{"device", device}, {"node", node}}, value ? 1 : 0);
  };
  ForEachLine(text, [&](std::string_view line) {
    for (const std::string_view word : Words(line)) {
      const size_t colon = word.find(':');
      if (colon == std::string_view::npos) continue;
      const std::string_view key = word.substr(0, colon);
      const std::string_view value = word.substr(colon + 1);
      if (value.empty() && ::vedette::agent::Number<int>(key)) {
        device = StrCat("drbd", key);
        continue;
      }
      if (device.empty()) continue;
      const size_t slash = value.find('/');
      if (key == "cs") {
        sink.Family("node_drbd_connected", kGauge, "Whether DRBD is connected to the peer.");
        sink.Add({{"device", device}}, value == "Connected" ? 1 : 0);
      } else if (key == "ro" && slash != std::string_view::npos) {
        const char* help = "Whether the role of the node is in the primary state.";
        add("node_drbd_node_role_is_primary", help, "local", value.substr(0, slash) == "Primary");
        add("node_drbd_node_role_is_primary", help, "remote", value.substr(slash + 1) == "Primary");
      } else if (key == "ds" && slash != std::string_view::npos) {
        const char* help = "Whether the disk of the node is up to date.";
        add("node_drbd_disk_state_is_up_to_date", help, "local",
            value.substr(0, slash) == "UpToDate");
        add("node_drbd_disk_state_is_up_to_date", help, "remote",
            value.substr(slash + 1) == "UpToDate");
      } else if (const auto* n = std::ranges::find(kNumbers, key, &Number::key);
                 n != std::end(kNumbers)) {
        sink.Family(n->family, n->type, n->help);
        sink.Add({{"device", device}}, Real(value).value_or(0) * n->unit);
      }
    }
  });
  return {};
}

// Device-mapper devices whose uuid says that they stand for several paths to one disk.
Status CollectMultipath(const Host& host, MetricSink& sink) {
  const std::string block = host.Sys("block");
  for (const std::string& name : ListDirectory(block)) {
    const std::string dir = StrCat(block, "/", name, "/");
    const auto uuid = name.starts_with("dm-") ? ReadAttribute(dir + "dm/uuid") : std::nullopt;
    if (!uuid || !uuid->starts_with("mpath-")) continue;
    const std::string device = ReadAttribute(dir + "dm/name").value_or(name);
    const auto add = [&](const char* family, const char* help, double value) {
      sink.Family(family, MetricType::kGauge, help);
      sink.Add({{"device", device}, {"sysfs_name", name}}, value);
    };
    sink.Family("node_dmmultipath_device_info", MetricType::kGauge,
                "Non-numeric information about a DM-multipath device.");
    sink.Add({{"device", device}, {"sysfs_name", name}, {"uuid", *uuid}}, 1);
    add("node_dmmultipath_device_active",
        "Whether the multipath device-mapper device is active (1) or suspended (0).",
        ReadNumber(dir + "dm/suspended").value_or(0) == 0 ? 1 : 0);
    add("node_dmmultipath_device_size_bytes", "Size of the multipath device in bytes.",
        ReadNumber(dir + "size").value_or(0) * 512);
    int active = 0;
    const auto paths = ListDirectory(dir + "slaves");
    for (const std::string& path : paths) {
      const std::string state =
          ReadAttribute(StrCat(block, "/", path, "/device/state")).value_or("unknown");
      active += state == "running" || state == "live";
      sink.Family("node_dmmultipath_path_state", MetricType::kGauge,
                  "State of the device under a path, from /sys/block/<dev>/device/state.");
      sink.Add({{"device", device}, {"path", path}, {"state", state}}, 1);
    }
    const int all = static_cast<int>(paths.size());
    add("node_dmmultipath_device_paths", "Number of paths for a multipath device.", all);
    add("node_dmmultipath_device_paths_active",
        "Number of paths in active state (SCSI running or NVMe live) for a multipath device.",
        active);
    add("node_dmmultipath_device_paths_failed",
        "Number of paths not in active state for a multipath device.", all - active);
  }
  return {};
}

}  // namespace

void AddRaidCollectors(const HostPtr& host, Collectors& out) {
  Add(out, {"mdadm", "/proc/mdstat, /sys/block/md*/md"}, host, CollectMdadm);
  Add(out, {"drbd", "/proc/drbd", kOff}, host, CollectDrbd);
  Add(out, {"dmmultipath", "/sys/block/dm-*", kOff}, host, CollectMultipath);
}

}  // namespace vedette::agent
