#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "agent/host/collector_groups.h"
#include "agent/host/files.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

// The number of the namespace in "nvme0n1" or, a path of several to it, "nvme0c1n1"; "" in others.
std::string_view NamespaceId(std::string_view name) {
  const size_t n = name.rfind('n');
  if (!name.starts_with("nvme") || n == std::string_view::npos || n < 5) return {};
  const std::string_view id = name.substr(n + 1);
  if (id.empty() || id.find_first_not_of("0123456789") != std::string_view::npos) return {};
  return name.substr(4, n - 4).find_first_not_of("0123456789c") == std::string_view::npos
             ? id
             : std::string_view();
}

void AddNamespace(const std::string& dir, std::string_view device, std::string_view nsid,
                  MetricSink& sink) {
  const auto size = ReadNumber(dir + "/size");
  const auto block = ReadNumber(dir + "/queue/logical_block_size");
  if (!size || !block) return;
  const auto add = [&](const char* family, const char* help, double value) {
    sink.Family(family, MetricType::kGauge, help);
    sink.Add({{"device", device}, {"nsid", nsid}}, value);
  };
  sink.Family("node_nvme_namespace_info", MetricType::kGauge,
              "Information about NVMe namespaces. Value is always 1");
  sink.Add({{"device", device},
            {"nsid", nsid},
            {"ana_state", ReadAttribute(dir + "/ana_state").value_or("unknown")}},
           1);
  // As node_exporter counts them: in blocks, where the kernel's size is in sectors of 512 bytes.
  add("node_nvme_namespace_capacity_bytes",
      "Capacity of the NVMe namespace in bytes: its size times its logical block size.",
      *size * *block);
  add("node_nvme_namespace_size_bytes", "Size of the NVMe namespace in bytes.", *size * *block);
  if (const auto used = ReadNumber(dir + "/nuse")) {
    add("node_nvme_namespace_used_bytes", "Used space of the NVMe namespace in bytes.",
        *used * *block);
  }
  add("node_nvme_namespace_logical_block_size_bytes",
      "Logical block size of the NVMe namespace in bytes.", *block);
}

Status CollectNvme(const Host& host, MetricSink& sink) {
  const std::string root = host.Sys("class/nvme");
  const auto names = ListDirectory(root);
  if (names.empty()) return NotFound(StrCat(root, " is missing or empty"));
  for (const std::string& name : names) {
    const auto text = [&](const char* file) {
      return ReadAttribute(StrCat(root, "/", name, "/", file)).value_or("");
    };
    sink.Family("node_nvme_info", MetricType::kGauge,
                "Non-numeric data from /sys/class/nvme/<device>, value is always 1.");
    sink.Add({{"device", name},
              {"firmware_revision", text("firmware_rev")},
              {"model", text("model")},
              {"serial", text("serial")},
              {"state", text("state")}},
             1);
    const std::string dir = StrCat(root, "/", name);
    for (const std::string& entry : ListDirectory(dir)) {
      const std::string_view nsid = NamespaceId(entry);
      if (!nsid.empty()) AddNamespace(StrCat(dir, "/", entry), name, nsid, sink);
    }
  }
  return {};
}

// st0, st1, ...; st0a, st0l, st0m and nst0 are the same drives in other modes.
Status CollectTapes(const Host& host, MetricSink& sink) {
  using enum MetricType;
  static constexpr NumberFile kFiles[] = {
      {"in_flight", "node_tape_io_now",
       "The number of I/Os currently outstanding to this device."},
      {"io_ns", "node_tape_io_time_seconds_total",
       "The amount of time spent waiting for all I/O to complete, tape movement included.",
       kCounter, 1e-9},
      {"other_cnt", "node_tape_io_others_total",
       "The number of I/Os issued to the tape drive other than read or write commands.", kCounter},
      {"read_byte_cnt", "node_tape_read_bytes_total",
       "The number of bytes read from the tape drive.", kCounter},
      {"read_cnt", "node_tape_reads_completed_total",
       "The number of read requests issued to the tape drive.", kCounter},
      {"read_ns", "node_tape_read_time_seconds_total",
       "The amount of time spent waiting for read requests to complete.", kCounter, 1e-9},
      {"resid_cnt", "node_tape_residual_total",
       "The number of times a read or write found the residual amount to be non-zero.", kCounter},
      {"write_byte_cnt", "node_tape_written_bytes_total",
       "The number of bytes written to the tape drive.", kCounter},
      {"write_cnt", "node_tape_writes_completed_total",
       "The number of write requests issued to the tape drive.", kCounter},
      {"write_ns", "node_tape_write_time_seconds_total",
       "The amount of time spent waiting for write requests to complete.", kCounter, 1e-9},
  };
  const std::string root = host.Sys("class/scsi_tape");
  const auto names = ListDirectory(root);
  if (names.empty()) return NotFound(StrCat(root, " is missing or empty"));
  for (const std::string& name : names) {
    if (!name.starts_with("st") || name.size() < 3 ||
        name.find_first_not_of("0123456789", 2) != std::string::npos) {
      continue;
    }
    AddNumberFiles(StrCat(root, "/", name, "/stats"), kFiles, {{"device", name}}, sink,
                   Absent::kZero);
  }
  return {};
}

Status CollectFibreChannel(const Host& host, MetricSink& sink) {
  static constexpr std::pair<const char*, const char*> kCounters[] = {
      {"dumped_frames", "Number of dumped frames"},
      {"error_frames", "Number of errors in frames"},
      {"fcp_packet_aborts", "Number of aborted packets"},
      {"invalid_crc_count", "Invalid Cyclic Redundancy Check count"},
      {"invalid_tx_word_count", "Number of invalid words transmitted by host port"},
      {"link_failure_count", "Number of times the host port link has failed"},
      {"loss_of_signal_count", "Number of times signal has been lost"},
      {"loss_of_sync_count", "Number of failures on either bit or transmission word boundaries"},
      {"nos_count", "Number Not_Operational Primitive Sequence received by host port"},
      {"rx_frames", "Number of frames received"},
      {"rx_words", "Number of words received by host port"},
      {"seconds_since_last_reset", "Number of seconds since last host port reset"},
      {"tx_frames", "Number of frames transmitted by host port"},
      {"tx_words", "Number of words transmitted by host port"},
  };
  const std::string root = host.Sys("class/fc_host");
  const auto names = ListDirectory(root);
  if (names.empty()) return NotFound(StrCat(root, " is missing or empty"));
  for (const std::string& name : names) {
    const std::string dir = StrCat(root, "/", name, "/");
    const auto text = [&](const char* file) {
      const std::string value = ReadAttribute(dir + file).value_or("");
      return value.starts_with("0x") ? value.substr(2) : value;
    };
    sink.Family("node_fibrechannel_info", MetricType::kGauge,
                "Non-numeric data from /sys/class/fc_host/<host>, value is always 1.");
    sink.Add({{"fc_host", name},
              {"speed", text("speed")},
              {"port_state", text("port_state")},
              {"port_type", text("port_type")},
              {"port_id", text("port_id")},
              {"port_name", text("port_name")},
              {"fabric_name", text("fabric_name")},
              {"symbolic_name", text("symbolic_name")},
              {"supported_classes", text("supported_classes")},
              {"supported_speeds", text("supported_speeds")},
              {"dev_loss_tmo", text("dev_loss_tmo")}},
             1);
    for (const auto& [file, help] : kCounters) {
      const auto raw = ReadAttribute(StrCat(dir, "statistics/", file));
      // All ones: the driver does not count it.
      if (!raw || *raw == "0xffffffffffffffff") continue;
      const auto value = AnyNumber(*raw);
      if (!value) continue;
      std::string_view stem = file;
      if (stem.ends_with("_count")) stem.remove_suffix(6);
      sink.Family(StrCat("node_fibrechannel_",
                         stem == "invalid_tx_word" ? "invalid_tx_words" : stem, "_total"),
                  MetricType::kCounter, help);
      sink.Add({{"fc_host", name}}, *value);
    }
  }
  return {};
}

}  // namespace

void AddStorageLinkCollectors(const HostPtr& host, Collectors& out) {
  Add(out, {"nvme", "/sys/class/nvme"}, host, CollectNvme);
  Add(out, {"tapestats", "/sys/class/scsi_tape"}, host, CollectTapes);
  Add(out, {"fibrechannel", "/sys/class/fc_host"}, host, CollectFibreChannel);
}

}  // namespace vedette::agent
