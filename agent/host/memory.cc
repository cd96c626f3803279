#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/host/collector_groups.h"
#include "agent/host/files.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

// "Active(anon):     123 kB" becomes node_memory_Active_anon_bytes.
std::string MeminfoName(std::string_view key, bool kilobytes) {
  std::string name = "node_memory_";
  for (const char c : key) {
    if (c == '(') name += '_';
    if (c != '(' && c != ')') name += c;
  }
  if (kilobytes) name += "_bytes";
  return name;
}

// A line of meminfo and the family that shows it. The kernel writes the same lines each time.
struct MeminfoLine {
  std::string key;
  bool kilobytes = false;
  std::string family, help;
  MetricType type = MetricType::kGauge;
};

Status CollectMeminfo(const Host& host, std::vector<MeminfoLine>& known, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(host.Proc("meminfo")));
  size_t row = 0;
  ForEachLine(text, [&](std::string_view line) {
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return;
    const std::string_view key = line.substr(0, colon);
    const std::string_view rest = Trim(line.substr(colon + 1));
    if (rest.empty()) return;
    const bool kilobytes = rest.find(' ') != std::string_view::npos;
    if (known.size() <= row) known.emplace_back();
    MeminfoLine& l = known[row++];
    if (l.key != key || l.kilobytes != kilobytes) {
      const std::string family = MeminfoName(key, kilobytes);
      l = {std::string(key), kilobytes, family,
           StrCat("Memory information field ", std::string_view(family).substr(12), "."),
           family.ends_with("_total") ? MetricType::kCounter : MetricType::kGauge};
    }
    sink.Family(l.family, l.type, l.help);
    sink.Add({}, Real(rest).value_or(0) * (kilobytes ? 1024 : 1));
  });
  return {};
}

Status CollectVmstat(const Host& host, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(host.Proc("vmstat")));
  ForEachLine(text, [&](std::string_view line) {
    const size_t blank = line.find(' ');
    const std::string_view name = line.substr(0, blank);
    if (blank == std::string_view::npos || !host.vmstat.Passes(name)) return;
    sink.Family(StrCat("node_vmstat_", name), MetricType::kUnknown,
                StrCat("/proc/vmstat information field ", name, "."));
    sink.Add({}, Real(line.substr(blank + 1)).value_or(0));
  });
  return {};
}

// "Node 0 MemTotal:  134182340 kB" of every node, and the counters of where pages came from.
Status CollectMeminfoNuma(const Host& host, MetricSink& sink) {
  const std::string root = host.Sys("devices/system/node");
  for (const std::string& name : ListDirectory(root)) {
    if (!name.starts_with("node")) continue;
    const std::string node = name.substr(4);
    const Result<std::string> meminfo = ReadFile(StrCat(root, "/", name, "/meminfo"));
    if (!meminfo.ok()) continue;  // has_cpu, possible and others are plain files.
    ForEachLine(*meminfo, [&](std::string_view line) {
      const auto words = Words(line);
      if (words.size() < 4 || words[0] != "Node" || !words[2].ends_with(':')) return;
      const bool kilobytes = words.size() > 4 && words[4] == "kB";
      const std::string_view field = words[2].substr(0, words[2].size() - 1);
      sink.Family(StrCat("node_memory_numa_", MeminfoName(field, false).substr(12)),
                  MetricType::kGauge, StrCat("Memory information field ", field, "."));
      sink.Add({{"node", words[1]}}, Real(words[3]).value_or(0) * (kilobytes ? 1024 : 1));
    });
    VEDETTE_ASSIGN_OR_RETURN(const std::string numastat,
                             ReadFile(StrCat(root, "/", name, "/numastat")));
    ForEachLine(numastat, [&](std::string_view line) {
      const auto words = Words(line);
      if (words.size() != 2) return;
      sink.Family(StrCat("node_memory_numa_", words[0], "_total"), MetricType::kCounter,
                  StrCat("Memory information field ", words[0], "_total."));
      sink.Add({{"node", node}}, Real(words[1]).value_or(0));
    });
  }
  return {};
}

// "Node 0, zone DMA 1 0 1 ...": free blocks of 2^size pages.
Status CollectBuddyinfo(const Host& host, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(host.Proc("buddyinfo")));
  sink.Family("node_buddyinfo_blocks", MetricType::kGauge, "Count of free blocks according to size.");
  ForEachLine(text, [&](std::string_view line) {
    const auto words = Words(line);
    if (words.size() < 5 || words[0] != "Node" || words[2] != "zone") return;
    const std::string_view node = words[1].substr(0, words[1].size() - 1);
    for (size_t i = 4; i < words.size(); ++i) {
      sink.Add({{"node", node}, {"zone", words[3]}, {"size", StrCat(i - 4)}},
               Real(words[i]).value_or(0));
    }
  });
  return {};
}

// slabinfo(5); only root may read it.
Status CollectSlabinfo(const Host& host, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(host.Proc("slabinfo")));
  struct Column {
    const char* name;
    const char* help;
  };
  static constexpr Column kColumns[] = {
      {"node_slabinfo_active_objects", "The number of objects that are currently active (i.e., in use)."},
      {"node_slabinfo_objects",
       "The total number of allocated objects (i.e., objects that are both in use and not in use)."},
      {"node_slabinfo_object_size_bytes", "The size of objects in this slab, in bytes."},
      {"node_slabinfo_objects_per_slab", "The number of objects stored in each slab."},
      {"node_slabinfo_pages_per_slab", "The number of pages allocated for each slab."},
  };
  ForEachLine(text, [&](std::string_view line) {
    const auto words = Words(line);
    if (words.size() < 6 || line.starts_with("slabinfo") || line.starts_with("#")) return;
    if (!host.slabinfo.Passes(words[0])) return;
    for (size_t i = 0; i < std::size(kColumns); ++i) {
      sink.Family(kColumns[i].name, MetricType::kGauge, kColumns[i].help);
      sink.Add({{"slab", words[0]}}, Real(words[i + 1]).value_or(0));
    }
  });
  return {};
}

// What /proc/zoneinfo calls a number, and the family that shows it.
struct ZoneField {
  std::string_view key;
  const char* family;
  const char* help;
  MetricType type = MetricType::kGauge;
};

constexpr ZoneField kZoneFields[] = {
    {"high", "high_pages", "Zone watermark pages_high"},
    {"low", "low_pages", "Zone watermark pages_low"},
    {"managed", "managed_pages", "Present pages managed by the buddy system"},
    {"min", "min_pages", "Zone watermark pages_min"},
    {"present", "present_pages", "Physical pages existing within the zone"},
    {"scanned", "scanned_pages", "Pages scanned since last reclaim"},
    {"spanned", "spanned_pages", "Total pages spanned by the zone, including holes"},
    {"nr_active_anon", "nr_active_anon_pages", "Number of anonymous pages recently more used"},
    {"nr_active_file", "nr_active_file_pages",
     "Number of active pages with file-backing"},
    {"nr_anon_pages", "nr_anon_pages",
     "Number of anonymous pages currently used by the system"},
    {"nr_anon_transparent_hugepages", "nr_anon_transparent_hugepages",
     "Number of anonymous transparent huge pages currently used by the system"},
    {"nr_dirty", "nr_dirty_pages", "Number of dirty pages"},
    {"nr_file_pages", "nr_file_pages", "Number of file pages"},
    {"nr_free_pages", "nr_free_pages", "Total number of free pages in the zone"},
    {"nr_inactive_anon", "nr_inactive_anon_pages",
     "Number of anonymous pages recently less used"},
    {"nr_inactive_file", "nr_inactive_file_pages",
     "Number of inactive pages with file-backing"},
    {"nr_isolated_anon", "nr_isolated_anon_pages",
     "Temporary isolated pages from anon lru"},
    {"nr_isolated_file", "nr_isolated_file_pages",
     "Temporary isolated pages from file lru"},
    {"nr_kernel_stack", "nr_kernel_stacks", "Number of kernel stacks"},
    {"nr_mapped", "nr_mapped_pages", "Number of mapped pages"},
    {"nr_mlock_stack", "nr_mlock_stack_pages", "mlock()ed pages found and moved off LRU"},
    {"nr_shmem", "nr_shmem_pages", "Number of shmem pages (included tmpfs/GEM pages)"},
    {"nr_slab_reclaimable", "nr_slab_reclaimable_pages", "Number of reclaimable slab pages"},
    {"nr_slab_unreclaimable", "nr_slab_unreclaimable_pages",
     "Number of unreclaimable slab pages"},
    {"nr_unevictable", "nr_unevictable_pages", "Number of unevictable pages"},
    {"nr_writeback", "nr_writeback_pages", "Number of writeback pages"},
    {"nr_dirtied", "nr_dirtied_total", "Page dirtyings since bootup", MetricType::kCounter},
    {"nr_written", "nr_written_total", "Page writings since bootup", MetricType::kCounter},
    {"numa_foreign", "numa_foreign_total", "Was intended here, hit elsewhere",
     MetricType::kCounter},
    {"numa_hit", "numa_hit_total", "Allocated in intended node", MetricType::kCounter},
    {"numa_interleave", "numa_interleave_total", "Interleaver preferred this zone",
     MetricType::kCounter},
    {"numa_local", "numa_local_total", "Allocation from local node", MetricType::kCounter},
    {"numa_miss", "numa_miss_total", "Allocated in non intended node", MetricType::kCounter},
    {"numa_other", "numa_other_total", "Allocation from other node", MetricType::kCounter},
};

Status CollectZoneinfo(const Host& host, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(host.Proc("zoneinfo")));
  std::string node;
  std::string zone;
  ForEachLine(text, [&](std::string_view line) {
    auto words = Words(line);
    if (words.size() >= 4 && words[0] == "Node") {
      node = words[1].substr(0, words[1].size() - 1);
      zone = words[3];
      return;
    }
    if (words.size() >= 2 && words[0] == "protection:") {
      std::vector<double> protections;
      for (size_t i = 1; i < words.size(); ++i) {
        const auto pages = Real(words[i].starts_with('(') ? words[i].substr(1) : words[i]);
        if (!pages) return;
        protections.push_back(*pages);
      }
      for (size_t i = 0; i < protections.size(); ++i) {
        sink.Family(StrCat("node_zoneinfo_protection_", i), MetricType::kGauge,
                    StrCat("Protection array ", i, ". field"));
        sink.Add({{"node", node}, {"zone", zone}}, protections[i]);
      }
      return;
    }
    if (words.size() != 2) return;
    for (const ZoneField& f : kZoneFields) {
      if (f.key != words[0]) continue;
      sink.Family(StrCat("node_zoneinfo_", f.family), f.type, f.help);
      sink.Add({{"node", node}, {"zone", zone}}, Real(words[1]).value_or(0));
    }
  });
  return {};
}

// Kernel samepage merging.
Status CollectKsmd(const Host& host, MetricSink& sink) {
  static constexpr NumberFile kFiles[] = {
      {"full_scans", "node_ksmd_full_scans_total", "ksmd 'full_scans' file.", MetricType::kCounter},
      {"merge_across_nodes", "node_ksmd_merge_across_nodes", "ksmd 'merge_across_nodes' file."},
      {"pages_shared", "node_ksmd_pages_shared", "ksmd 'pages_shared' file."},
      {"pages_sharing", "node_ksmd_pages_sharing", "ksmd 'pages_sharing' file."},
      {"pages_skipped", "node_ksmd_pages_skipped_total", "ksmd 'pages_skipped' file.",
       MetricType::kCounter},
      {"pages_to_scan", "node_ksmd_pages_to_scan", "ksmd 'pages_to_scan' file."},
      {"pages_unshared", "node_ksmd_pages_unshared", "ksmd 'pages_unshared' file."},
      {"pages_volatile", "node_ksmd_pages_volatile", "ksmd 'pages_volatile' file."},
      {"run", "node_ksmd_run", "ksmd 'run' file."},
      {"sleep_millisecs", "node_ksmd_sleep_seconds", "ksmd 'sleep_millisecs' file.",
       MetricType::kGauge, 1e-3},
  };
  const std::string dir = host.Sys("kernel/mm/ksm");
  if (!ReadAttribute(dir + "/run")) return NotFound(StrCat(dir, "/run is missing"));
  AddNumberFiles(dir, kFiles, {}, sink);
  return {};
}

// "Filename Type Size Used Priority", sizes in kB.
Status CollectSwap(const Host& host, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(host.Proc("swaps")));
  ForEachLine(text, [&](std::string_view line) {
    const auto words = Words(line);
    if (words.size() < 5 || words[0] == "Filename") return;
    const auto add = [&](const char* name, const char* help, double value) {
      sink.Family(name, MetricType::kGauge, help);
      sink.Add({{"device", words[0]}, {"swap_type", words[1]}}, value);
    };
    add("node_swap_size_bytes", "Swap device size in bytes.", Real(words[2]).value_or(0) * 1024);
    add("node_swap_used_bytes", "Swap device used in bytes.", Real(words[3]).value_or(0) * 1024);
    add("node_swap_priority", "Swap device priority.", Real(words[4]).value_or(0));
  });
  return {};
}

}  // namespace

void AddMemoryCollectors(const HostPtr& host, Collectors& out) {
  Add(out, {"meminfo", "/proc/meminfo"},
      [host, known = std::make_shared<std::vector<MeminfoLine>>()](MetricSink& sink) {
        return CollectMeminfo(*host, *known, sink);
      });
  Add(out, {"vmstat", "/proc/vmstat"}, host, CollectVmstat);
  Add(out, {"meminfo_numa", "/sys/devices/system/node/node*/{meminfo,numastat}", kOff}, host,
      CollectMeminfoNuma);
  Add(out, {"buddyinfo", "/proc/buddyinfo", kOff}, host, CollectBuddyinfo);
  Add(out, {"slabinfo", "/proc/slabinfo (root only)", kOff}, host, CollectSlabinfo);
  Add(out, {"zoneinfo", "/proc/zoneinfo", kOff}, host, CollectZoneinfo);
  Add(out, {"ksmd", "/sys/kernel/mm/ksm", kOff}, host, CollectKsmd);
  Add(out, {"swap", "/proc/swaps", kOff}, host, CollectSwap);
}

}  // namespace vedette::agent
