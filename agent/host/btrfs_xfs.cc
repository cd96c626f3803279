#include <fcntl.h>
#include <linux/btrfs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cstring>
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

// How many bytes of disk a byte of data takes, with `devices` of them.
double AllocationRatio(std::string_view mode, double devices) {
  if (mode == "raid1" || mode == "dup" || mode == "raid10") return 2;
  if (mode == "raid1c3") return 3;
  if (mode == "raid1c4") return 4;
  if (mode == "raid5" && devices > 1) return devices / (devices - 1);
  if (mode == "raid6" && devices > 2) return devices / (devices - 2);
  return 1;  // single, raid0
}

std::string Uuid(const unsigned char* bytes) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    out += kHex[bytes[i] >> 4];
    out += kHex[bytes[i] & 15];
  }
  return out;
}

struct BtrfsDevice {
  std::string name, uuid;
  double size = 0, unused = 0;
  std::array<double, 5> errors{};
};

// What only an ioctl on a mounted file system tells: use and errors of each device. Root only.
std::map<std::string, std::vector<BtrfsDevice>> AskMounted(const Host& host) {
  std::map<std::string, std::vector<BtrfsDevice>> found;
  const Result<std::string> mounts = ReadFile(host.Proc("1/mounts"));
  if (!mounts.ok()) return found;
  ForEachLine(*mounts, [&](std::string_view line) {
    const auto words = Words(line);
    if (words.size() < 3 || words[2] != "btrfs") return;
    const int fd = open(std::string(words[1]).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    btrfs_ioctl_fs_info_args fs = {};
    if (ioctl(fd, BTRFS_IOC_FS_INFO, &fs) == 0 && !found.contains(Uuid(fs.fsid))) {
      auto& devices = found[Uuid(fs.fsid)];
      for (uint64_t id = 0; id <= fs.max_id && devices.size() < fs.num_devices; ++id) {
        btrfs_ioctl_dev_info_args info = {};
        info.devid = id;
        if (ioctl(fd, BTRFS_IOC_DEV_INFO, &info) != 0) continue;  // Ids have holes.
        btrfs_ioctl_get_dev_stats stats = {};
        stats.devid = id;
        stats.nr_items = BTRFS_DEV_STAT_VALUES_MAX;
        BtrfsDevice device;
        const std::string_view path(reinterpret_cast<const char*>(info.path));
        device.name = path.substr(path.rfind('/') + 1);
        device.uuid = Uuid(info.uuid);
        device.size = static_cast<double>(info.total_bytes);
        device.unused = static_cast<double>(info.total_bytes - info.bytes_used);
        if (ioctl(fd, BTRFS_IOC_GET_DEV_STATS, &stats) == 0) {
          for (size_t i = 0; i < device.errors.size(); ++i) {
            device.errors[i] = static_cast<double>(stats.values[i]);
          }
        }
        devices.push_back(std::move(device));
      }
    }
    close(fd);
  });
  return found;
}

void AddBtrfsDevices(const std::string& uuid, const std::vector<BtrfsDevice>& devices,
                     MetricSink& sink) {
  // In the order of the kernel's enum.
  static constexpr const char* kErrors[] = {"write", "read", "flush", "corruption", "generation"};
  for (const BtrfsDevice& d : devices) {
    const auto add = [&](const char* family, const char* help, double value) {
      sink.Family(family, MetricType::kGauge, help);
      sink.Add({{"uuid", uuid}, {"device", d.name}, {"btrfs_dev_uuid", d.uuid}}, value);
    };
    add("node_btrfs_device_size_bytes", "Size of a device that is part of the filesystem.", d.size);
    add("node_btrfs_device_unused_bytes",
        "Unused bytes on a device that is part of the filesystem.", d.unused);
    sink.Family("node_btrfs_device_errors_total", MetricType::kCounter,
                "Errors reported for the device");
    for (size_t i = 0; i < std::size(kErrors); ++i) {
      sink.Add({{"uuid", uuid},
                {"device", d.name},
                {"btrfs_dev_uuid", d.uuid},
                {"type", kErrors[i]}},
               d.errors[i]);
    }
  }
}

void AddBtrfsAllocation(const std::string& dir, const std::string& uuid, double devices,
                        MetricSink& sink) {
  for (const char* type : {"data", "metadata", "system"}) {
    const std::string group = StrCat(dir, "/allocation/", type);
    if (const auto reserved = ReadNumber(group + "/bytes_reserved")) {
      sink.Family("node_btrfs_reserved_bytes", MetricType::kGauge,
                  "Amount of space reserved for a data type");
      sink.Add({{"uuid", uuid}, {"block_group_type", type}}, *reserved);
    }
    for (const std::string& mode : ListDirectory(group)) {
      const auto total = ReadNumber(StrCat(group, "/", mode, "/total_bytes"));
      const auto used = ReadNumber(StrCat(group, "/", mode, "/used_bytes"));
      if (!total && !used) continue;  // A file beside the layouts' folders.
      const auto add = [&](const char* family, const char* help, double value) {
        sink.Family(family, MetricType::kGauge, help);
        sink.Add({{"uuid", uuid}, {"block_group_type", type}, {"mode", mode}}, value);
      };
      add("node_btrfs_used_bytes", "Amount of used space by a layout/data type",
          used.value_or(0));
      add("node_btrfs_size_bytes", "Amount of space allocated for a layout/data type",
          total.value_or(0));
      add("node_btrfs_allocation_ratio", "Data allocation ratio for a layout/data type",
          AllocationRatio(mode, devices));
    }
  }
}

// "commits 258051", "last_commit_ms 1000" and others, since Linux 6.1.
void AddBtrfsCommits(const std::string& dir, const std::string& uuid, MetricSink& sink) {
  struct Line {
    std::string_view key;
    const char* family;
    const char* help;
    MetricType type;
    double divisor;
  };
  static constexpr Line kLines[] = {
      {"commits", "node_btrfs_commits_total", "The total number of commits that have occurred.",
       MetricType::kCounter, 1},
      {"last_commit_ms", "node_btrfs_last_commit_seconds",
       "Duration of the most recent commit, in seconds.", MetricType::kGauge, 1e3},
      {"max_commit_ms", "node_btrfs_max_commit_seconds",
       "Duration of the slowest commit, in seconds.", MetricType::kGauge, 1e3},
      {"total_commit_ms", "node_btrfs_commit_seconds_total",
       "Sum of the duration of all commits, in seconds.", MetricType::kCounter, 1e3},
  };
  const Result<std::string> text = ReadFile(dir + "/commit_stats");
  if (!text.ok()) return;
  ForEachLine(*text, [&](std::string_view line) {
    const auto words = Words(line);
    if (words.size() != 2) return;
    for (const Line& l : kLines) {
      if (l.key != words[0]) continue;
      sink.Family(l.family, l.type, l.help);
      sink.Add({{"uuid", uuid}}, Real(words[1]).value_or(0) / l.divisor);
    }
  });
}

Status CollectBtrfs(const Host& host, MetricSink& sink) {
  const std::string root = host.Sys("fs/btrfs");
  const auto names = ListDirectory(root);
  if (names.empty()) return NotFound(StrCat(root, " is missing"));
  std::optional<decltype(AskMounted(host))> asked;
  for (const std::string& name : names) {
    if (name.find('-') == std::string::npos) continue;  // The folder "features".
    const std::string dir = StrCat(root, "/", name);
    // What its blocks say; another than the folder's where an administrator gave it a new one.
    std::string uuid = ReadAttribute(dir + "/metadata_uuid").value_or("");
    if (uuid.empty()) uuid = name;
    if (!asked) asked = AskMounted(host);
    const auto& mounted = *asked;
    sink.Family("node_btrfs_info", MetricType::kGauge, "Filesystem information");
    sink.Add({{"uuid", uuid}, {"label", ReadAttribute(dir + "/label").value_or("")}}, 1);
    sink.Family("node_btrfs_global_rsv_size_bytes", MetricType::kGauge, "Size of global reserve.");
    sink.Add({{"uuid", uuid}}, ReadNumber(dir + "/allocation/global_rsv_size").value_or(0));
    const auto devices = ListDirectory(dir + "/devices");
    if (const auto at = mounted.find(name); at != mounted.end()) {
      AddBtrfsDevices(uuid, at->second, sink);
    } else {
      sink.Family("node_btrfs_device_size_bytes", MetricType::kGauge,
                  "Size of a device that is part of the filesystem.");
      for (const std::string& device : devices) {
        const auto sectors = ReadNumber(StrCat(dir, "/devices/", device, "/size"));
        if (sectors) sink.Add({{"uuid", uuid}, {"device", device}}, *sectors * 512);
      }
    }
    AddBtrfsAllocation(dir, uuid, static_cast<double>(devices.size()), sink);
    AddBtrfsCommits(dir, uuid, sink);
  }
  return {};
}

// A line of XFS' statistics, and the families of its numbers; "" for one that is not shown.
struct XfsLine {
  std::string_view key;
  std::vector<std::pair<const char*, const char*>> families;
};

const std::vector<XfsLine>& XfsLines() {
  static const auto* lines = new std::vector<XfsLine>{
      {"extent_alloc",
       {{"extent_allocation_extents_allocated", "Number of extents allocated for a filesystem."},
        {"extent_allocation_blocks_allocated", "Number of blocks allocated for a filesystem."},
        {"extent_allocation_extents_freed", "Number of extents freed for a filesystem."},
        {"extent_allocation_blocks_freed", "Number of blocks freed for a filesystem."}}},
      {"abt",
       {{"allocation_btree_lookups", "Number of allocation B-tree lookups for a filesystem."},
        {"allocation_btree_compares", "Number of allocation B-tree compares for a filesystem."},
        {"allocation_btree_records_inserted",
         "Number of allocation B-tree records inserted for a filesystem."},
        {"allocation_btree_records_deleted",
         "Number of allocation B-tree records deleted for a filesystem."}}},
      {"blk_map",
       {{"block_mapping_reads", "Number of block map for read operations for a filesystem."},
        {"block_mapping_writes", "Number of block map for write operations for a filesystem."},
        {"block_mapping_unmaps", "Number of block unmaps (deletes) for a filesystem."},
        {"block_mapping_extent_list_insertions",
         "Number of extent list insertions for a filesystem."},
        {"block_mapping_extent_list_deletions",
         "Number of extent list deletions for a filesystem."},
        {"block_mapping_extent_list_lookups", "Number of extent list lookups for a filesystem."},
        {"block_mapping_extent_list_compares",
         "Number of extent list compares for a filesystem."}}},
      {"bmbt",
       {{"block_map_btree_lookups", "Number of block map B-tree lookups for a filesystem."},
        {"block_map_btree_compares", "Number of block map B-tree compares for a filesystem."},
        {"block_map_btree_records_inserted",
         "Number of block map B-tree records inserted for a filesystem."},
        {"block_map_btree_records_deleted",
         "Number of block map B-tree records deleted for a filesystem."}}},
      {"dir",
       {{"directory_operation_lookup", "Number of file name directory lookups for a filesystem."},
        {"directory_operation_create",
         "Number of times a new directory entry was created for a filesystem."},
        {"directory_operation_remove",
         "Number of times an existing directory entry was removed for a filesystem."},
        {"directory_operation_getdents",
         "Number of times the directory getdents operation was performed for a filesystem."}}},
      {"ig",
       {{"inode_operation_attempts",
         "Number of times the OS looked for an XFS inode in the inode cache."},
        {"inode_operation_found",
         "Number of times the OS looked for and found an XFS inode in the inode cache."},
        {"inode_operation_recycled",
         "Number of times an XFS inode in the cache was being recycled."},
        {"inode_operation_missed",
         "Number of times the OS did not find an XFS inode in the cache."},
        {"inode_operation_duplicates",
         "Number of times an inode that was missing had been added by another process."},
        {"inode_operation_reclaims",
         "Number of times an inode was reclaimed to free memory for another purpose."},
        {"inode_operation_attribute_changes",
         "Number of times the attributes of an XFS inode were explicitly changed."}}},
      {"rw",
       {{"write_calls", "Number of write(2) system calls made to files in a filesystem."},
        {"read_calls", "Number of read(2) system calls made to files in a filesystem."}}},
      {"vnodes",
       {{"vnode_active", "Number of vnodes not on free lists for a filesystem."},
        {"vnode_allocate", "Number of times vn_alloc called for a filesystem."},
        {"vnode_get", "Number of times vn_get called for a filesystem."},
        {"vnode_hold", "Number of times vn_hold called for a filesystem."},
        {"vnode_release", "Number of times vn_rele called for a filesystem."},
        {"vnode_reclaim", "Number of times vn_reclaim called for a filesystem."},
        {"vnode_remove", "Number of times vn_remove called for a filesystem."}}},
  };
  return *lines;
}

Status CollectXfs(const Host& host, MetricSink& sink) {
  const std::string root = host.Sys("fs/xfs");
  for (const std::string& device : ListDirectory(root)) {
    // "stats" beside the devices are the sums over all of them.
    const Result<std::string> text = ReadFile(StrCat(root, "/", device, "/stats/stats"));
    if (!text.ok()) continue;
    std::map<std::string_view, std::vector<std::string_view>> found;
    ForEachLine(*text, [&](std::string_view line) {
      auto words = Words(line);
      if (!words.empty()) found[words[0]] = std::move(words);
    });
    for (const XfsLine& l : XfsLines()) {
      const auto& words = found[l.key];
      for (size_t i = 0; i < l.families.size(); ++i) {
        sink.Family(StrCat("node_xfs_", l.families[i].first, "_total"), MetricType::kCounter,
                    l.families[i].second);
        sink.Add({{"device", device}},
                 i + 1 < words.size() ? Real(words[i + 1]).value_or(0) : 0);
      }
    }
  }
  return {};
}

}  // namespace

void AddBtrfsXfsCollectors(const HostPtr& host, Collectors& out) {
  Add(out, {"btrfs", "/sys/fs/btrfs, ioctl on each mounted btrfs (root only)"}, host, CollectBtrfs);
  Add(out, {"xfs", "/sys/fs/xfs/*/stats"}, host, CollectXfs);
}

}  // namespace vedette::agent
