#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "agent/host/collector_groups.h"
#include "agent/host/files.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

constexpr double kSector = 512;
constexpr double kMillisecond = 1e-3;

// Columns of /proc/diskstats after the device's name (Documentation/admin-guide/iostats.rst).
struct Column {
  const char* name;
  const char* help;
  double unit;
  MetricType type = MetricType::kCounter;
};
constexpr Column kColumns[] = {
    {"node_disk_reads_completed_total", "The total number of reads completed successfully.", 1},
    {"node_disk_reads_merged_total", "The total number of reads merged.", 1},
    {"node_disk_read_bytes_total", "The total number of bytes read successfully.", kSector},
    {"node_disk_read_time_seconds_total", "The total number of seconds spent by all reads.",
     kMillisecond},
    {"node_disk_writes_completed_total", "The total number of writes completed successfully.", 1},
    {"node_disk_writes_merged_total", "The number of writes merged.", 1},
    {"node_disk_written_bytes_total", "The total number of bytes written successfully.", kSector},
    {"node_disk_write_time_seconds_total",
     "This is the total number of seconds spent by all writes.", kMillisecond},
    {"node_disk_io_now", "The number of I/Os currently in progress.", 1, MetricType::kGauge},
    {"node_disk_io_time_seconds_total", "Total seconds spent doing I/Os.", kMillisecond},
    {"node_disk_io_time_weighted_seconds_total", "The weighted # of seconds spent doing I/Os.",
     kMillisecond},
    {"node_disk_discards_completed_total", "The total number of discards completed successfully.",
     1},
    {"node_disk_discards_merged_total", "The total number of discards merged.", 1},
    {"node_disk_discarded_sectors_total", "The total number of sectors discarded successfully.", 1},
    {"node_disk_discard_time_seconds_total",
     "This is the total number of seconds spent by all discards.", kMillisecond},
    {"node_disk_flush_requests_total", "The total number of flush requests completed successfully",
     1},
    {"node_disk_flush_requests_time_seconds_total",
     "This is the total number of seconds spent by all flush requests.", kMillisecond},
};

// The properties ("E:KEY=value" lines) of /run/udev/data/bMAJOR:MINOR.
using Udev = std::map<std::string, std::string, std::less<>>;

// What was read of a device, and of which file that is: udev writes a file anew when a device changes.
struct KeptUdev {
  FileStamp stamp;
  Udev properties;
};
using KeptUdevs = std::map<std::string, KeptUdev, std::less<>>;

Udev ReadUdev(const std::string& path) {
  Udev properties;
  const Result<std::string> text = ReadFile(path);
  if (!text.ok()) return properties;
  ForEachLine(*text, [&](std::string_view line) {
    if (!line.starts_with("E:")) return;
    line.remove_prefix(2);
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos) return;
    properties.emplace(line.substr(0, equals), line.substr(equals + 1));
  });
  return properties;
}

const Udev& UdevOf(const Host& host, std::string_view major, std::string_view minor,
                   KeptUdevs& kept) {
  static const Udev* none = new Udev();
  std::string path = StrCat(host.options.udev_data, "/b", major, ":", minor);
  const std::optional<FileStamp> stamp = FileStamp::Of(path);
  if (!stamp) {
    kept.erase(path);
    return *none;
  }
  if (const auto at = kept.find(path); at != kept.end() && at->second.stamp == *stamp) {
    return at->second.properties;
  }
  Udev properties = ReadUdev(path);
  KeptUdev& one = kept[std::move(path)];
  one = {*stamp, std::move(properties)};
  return one.properties;
}

std::string_view Get(const Udev& udev, std::string_view key) {
  const auto at = udev.find(key);
  return at == udev.end() ? std::string_view() : std::string_view(at->second);
}

void AddInfo(std::string_view device, std::string_view major, std::string_view minor,
             const Udev& udev, MetricSink& sink) {
  std::string_view serial = Get(udev, "SCSI_IDENT_SERIAL");
  if (serial.empty()) serial = Get(udev, "ID_SERIAL_SHORT");
  sink.Family("node_disk_info", MetricType::kGauge, "Info of /sys/block/<block_device>.");
  sink.Add({{"device", device},
            {"major", major},
            {"minor", minor},
            {"path", Get(udev, "ID_PATH")},
            {"wwn", Get(udev, "ID_WWN")},
            {"model", Get(udev, "ID_MODEL")},
            {"serial", serial},
            {"revision", Get(udev, "ID_REVISION")}},
           1);
  if (const auto type = Get(udev, "ID_FS_TYPE"); !type.empty()) {
    sink.Family("node_disk_filesystem_info", MetricType::kGauge, "Info about disk filesystem.");
    sink.Add({{"device", device},
              {"type", type},
              {"usage", Get(udev, "ID_FS_USAGE")},
              {"uuid", Get(udev, "ID_FS_UUID")},
              {"version", Get(udev, "ID_FS_VERSION")}},
             1);
  }
  if (const auto name = Get(udev, "DM_NAME"); !name.empty()) {
    sink.Family("node_disk_device_mapper_info", MetricType::kGauge,
                "Info about disk device mapper.");
    sink.Add({{"device", device},
              {"name", name},
              {"uuid", Get(udev, "DM_UUID")},
              {"vg_name", Get(udev, "DM_VG_NAME")},
              {"lv_name", Get(udev, "DM_LV_NAME")},
              {"lv_layer", Get(udev, "DM_LV_LAYER")}},
             1);
  }
  if (Get(udev, "ID_ATA").empty()) return;
  struct Ata {
    const char* key;
    const char* name;
    const char* help;
  };
  static constexpr Ata kAta[] = {
      {"ID_ATA_WRITE_CACHE", "node_disk_ata_write_cache", "ATA disk has a write cache."},
      {"ID_ATA_WRITE_CACHE_ENABLED", "node_disk_ata_write_cache_enabled",
       "ATA disk has its write cache enabled."},
      {"ID_ATA_ROTATION_RATE_RPM", "node_disk_ata_rotation_rate_rpm",
       "ATA disk rotation rate in RPMs (0 for SSDs)."},
  };
  for (const Ata& a : kAta) {
    const auto value = Real(Get(udev, a.key));
    if (!value) continue;
    sink.Family(a.name, MetricType::kGauge, a.help);
    sink.Add({{"device", device}}, *value);
  }
}

Status CollectDiskstats(const Host& host, KeptUdevs& kept, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(host.Proc("diskstats")));
  ForEachLine(text, [&](std::string_view line) {
    const auto words = Words(line);
    if (words.size() < 14 || !host.diskstats.Passes(words[2])) return;
    AddInfo(words[2], words[0], words[1], UdevOf(host, words[0], words[1], kept), sink);
    for (size_t i = 0; i < std::size(kColumns) && i + 3 < words.size(); ++i) {
      const Column& c = kColumns[i];
      // A unit of 1/1000 is divided by, so that 771 ms reads 0.771 and not 0.7710000000000001.
      const double raw = Real(words[i + 3]).value_or(0);
      sink.Family(c.name, c.type, c.help);
      sink.Add({{"device", words[2]}}, c.unit == kMillisecond ? raw / 1000 : raw * c.unit);
    }
  });
  return {};
}

}  // namespace

void AddDiskCollectors(const HostPtr& host, Collectors& out) {
  Add(out, {"diskstats", "/proc/diskstats, udev's data of each device"},
      [host, kept = std::make_shared<KeptUdevs>()](MetricSink& sink) {
        return CollectDiskstats(*host, *kept, sink);
      });
}

}  // namespace vedette::agent
