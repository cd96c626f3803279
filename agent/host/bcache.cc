#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "agent/host/bcachefs.h"
#include "agent/host/collector_groups.h"
#include "agent/host/files.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

// bcache writes sizes for people: "427.5k", "20.4G". What follows its point are not tenths: the
// kernel divides the rest, 0 to 1023, by 100, so that ".5" is 5 / 10.24.
std::optional<double> Dehumanize(std::string_view text) {
  static constexpr std::string_view kUnits = "kMGTPEZY";
  double unit = 1;
  if (!text.empty()) {
    const size_t at = kUnits.find(text.back());
    if (at != std::string_view::npos) {
      unit = std::pow(1024, static_cast<double>(at + 1));
      text.remove_suffix(1);
    }
  }
  const size_t point = unit == 1 ? std::string_view::npos : text.find('.');
  const auto whole = Real(text.substr(0, point));
  if (!whole) return std::nullopt;
  double value = *whole;
  if (point != std::string_view::npos) {
    value += Real(text.substr(point + 1)).value_or(0) / 10.24;
  }
  return std::trunc(value * unit);
}

struct BcacheFile {
  const char* file;
  const char* family;
  const char* help;
  MetricType type = MetricType::kGauge;
  double divisor = 1;
};

void AddFiles(const std::string& dir, std::span<const BcacheFile> files, LabelPairs labels,
              MetricSink& sink) {
  for (const BcacheFile& f : files) {
    const auto text = ReadAttribute(StrCat(dir, "/", f.file));
    // What this kernel's bcache does not tell is 0, as with node_exporter.
    const double value = (text ? Dehumanize(*text) : std::nullopt).value_or(0);
    sink.Family(StrCat("node_bcache_", f.family), f.type, f.help);
    sink.Add(labels, value / f.divisor);
  }
}

using enum MetricType;

constexpr BcacheFile kSetFiles[] = {
    {"average_key_size", "average_key_size_sectors",
     "Average data per key in the btree (sectors)."},
    {"btree_cache_size", "btree_cache_size_bytes",
     "Amount of memory currently used by the btree cache."},
    {"cache_available_percent", "cache_available_percent",
     "Percentage of cache device without dirty data, usable for writeback (may contain clean cached "
     "data)."},
    {"congested", "congested", "Congestion."},
    {"root_usage_percent", "root_usage_percent",
     "Percentage of the root btree node in use (tree depth increases if too high)."},
    {"tree_depth", "tree_depth", "Depth of the btree."},
    {"internal/active_journal_entries", "active_journal_entries",
     "Number of journal entries that are newer than the index."},
    {"internal/btree_nodes", "btree_nodes", "Total nodes in the btree."},
    {"internal/btree_read_average_duration_us", "btree_read_average_duration_seconds",
     // The kernel says us and counts ns.
     "Average btree read duration.", kGauge, 1e9},
    {"internal/cache_read_races", "cache_read_races_total",
     "Instances where the bucket was reused and invalidated while data was being read from the "
     "cache.", kCounter},
};

constexpr BcacheFile kBackingFiles[] = {
    {"dirty_data", "dirty_data_bytes", "Amount of dirty data for this backing device in the cache."},
    {"stats_total/bypassed", "bypassed_bytes_total",
     "Amount of IO (both reads and writes) that has bypassed the cache.", kCounter},
    {"stats_total/cache_hits", "cache_hits_total",
     "Hits counted per individual IO as bcache sees them.", kCounter},
    {"stats_total/cache_misses", "cache_misses_total",
     "Misses counted per individual IO as bcache sees them.", kCounter},
    {"stats_total/cache_bypass_hits", "cache_bypass_hits_total",
     "Hits for IO intended to skip the cache.", kCounter},
    {"stats_total/cache_bypass_misses", "cache_bypass_misses_total",
     "Misses for IO intended to skip the cache.", kCounter},
    {"stats_total/cache_miss_collisions", "cache_miss_collisions_total",
     "Instances where data insertion from cache miss raced with write (data already present).",
     kCounter},
    {"stats_total/cache_readaheads", "cache_readaheads_total",
     "Count of times readahead occurred.", kCounter},
};

constexpr BcacheFile kCacheFiles[] = {
    {"io_errors", "io_errors", "Number of errors that have occurred, decayed by io_error_halflife."},
    {"metadata_written", "metadata_written_bytes_total",
     "Sum of all non data writes (btree writes and all other metadata).", kCounter},
    {"written", "written_bytes_total", "Sum of all data that has been written to the cache.",
     kCounter},
};

// "rate: 1.1M/sec" and so on, a line each.
void AddWriteback(const std::string& dir, std::string_view uuid, std::string_view device,
                  MetricSink& sink) {
  struct Line {
    std::string_view key;
    const char* family;
    const char* help;
  };
  static constexpr Line kLines[] = {
      {"rate:", "writeback_rate", "Current writeback rate for this backing device in bytes."},
      {"target:", "dirty_target_bytes",
       "Current dirty data target threshold for this backing device in bytes."},
      {"proportional:", "writeback_rate_proportional_term",
       "Current result of proportional controller, part of writeback rate"},
      {"integral:", "writeback_rate_integral_term",
       "Current result of integral controller, part of writeback rate"},
      {"change:", "writeback_change", "Last writeback rate change step for this backing device."},
  };
  const Result<std::string> text = ReadFile(dir + "/writeback_rate_debug");
  if (!text.ok()) return;
  ForEachLine(*text, [&](std::string_view line) {
    const auto words = Words(line);
    if (words.size() < 2) return;
    for (const Line& l : kLines) {
      if (l.key != words[0]) continue;
      const auto value = Dehumanize(words[1].substr(0, words[1].find('/')));
      if (!value) continue;
      sink.Family(StrCat("node_bcache_", l.family), kGauge, l.help);
      sink.Add({{"uuid", uuid}, {"backing_device", device}}, *value);
    }
  });
}

// "Unused: 99%": reading it makes the kernel sort all buckets, so it has to be asked for.
void AddPriorities(const std::string& dir, std::string_view uuid, std::string_view device,
                   MetricSink& sink) {
  const Result<std::string> text = ReadFile(dir + "/priority_stats");
  if (!text.ok()) return;
  ForEachLine(*text, [&](std::string_view line) {
    const auto words = Words(line);
    if (words.size() < 2) return;
    const auto add = [&](const char* family, const char* help) {
      sink.Family(family, kGauge, help);
      sink.Add({{"uuid", uuid}, {"cache_device", device}}, Real(words[1]).value_or(0));
    };
    if (words[0] == "Unused:") {
      add("node_bcache_priority_stats_unused_percent",
          "The percentage of the cache that doesn't contain any data.");
    } else if (words[0] == "Metadata:") {
      add("node_bcache_priority_stats_metadata_percent", "Bcache's metadata overhead.");
    }
  });
}

Status CollectBcache(const Host& host, MetricSink& sink) {
  const std::string root = host.Sys("fs/bcache");
  for (const std::string& uuid : ListDirectory(root)) {
    const std::string dir = StrCat(root, "/", uuid);
    if (!ReadAttribute(dir + "/cache_available_percent")) continue;  // register and others.
    AddFiles(dir, kSetFiles, {{"uuid", uuid}}, sink);
    for (const std::string& device : ListDirectory(dir)) {
      const std::string device_dir = StrCat(dir, "/", device);
      if (device.starts_with("bdev")) {
        AddFiles(device_dir, kBackingFiles, {{"uuid", uuid}, {"backing_device", device}}, sink);
        AddWriteback(device_dir, uuid, device, sink);
      } else if (device.starts_with("cache") && device.size() > 5 && device[5] >= '0' &&
                 device[5] <= '9') {
        AddFiles(device_dir, kCacheFiles, {{"uuid", uuid}, {"cache_device", device}}, sink);
        if (host.options.bcache_priority_stats) AddPriorities(device_dir, uuid, device, sink);
      }
    }
  }
  return {};
}

}  // namespace

void AddBcacheCollectors(const HostPtr& host, Collectors& out) {
  Add(out, {"bcache", "/sys/fs/bcache"}, host, CollectBcache);
  Add(out, {"bcachefs", "/sys/fs/bcachefs"}, host, CollectBcachefs);
}

}  // namespace vedette::agent
