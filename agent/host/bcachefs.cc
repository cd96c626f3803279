#include "agent/host/bcachefs.h"

#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/host/files.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

// "542k", "1.5G", "405": of 1024, in whole bytes.
std::optional<double> Size(std::string_view text) {
  static constexpr std::string_view kUnits = "KMGTPEZY";
  double unit = 1;
  if (!text.empty()) {
    const char last = text.back() == 'k' ? 'K' : text.back();
    if (const size_t at = kUnits.find(last); at != std::string_view::npos) {
      unit = std::pow(1024, static_cast<double>(at + 1));
      text.remove_suffix(1);
    }
  }
  const auto value = Real(text);
  if (!value) return std::nullopt;
  return std::trunc(*value * unit);
}

// Lines of "key: value", without what has no value.
std::vector<std::pair<std::string_view, std::string_view>> Pairs(std::string_view text) {
  std::vector<std::pair<std::string_view, std::string_view>> out;
  ForEachLine(text, [&](std::string_view line) {
    const size_t colon = line.find(':');
    if (colon != std::string_view::npos) {
      out.emplace_back(line.substr(0, colon), Trim(line.substr(colon + 1)));
    }
  });
  return out;
}

// A counter's file name as a part of a metric's.
std::string MetricPart(std::string_view name) {
  std::string out;
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (plain) {
      out.push_back(c);
    } else if (out.empty() || out.back() != '_') {
      out.push_back('_');
    }
  }
  return out;
}

// A table under one line of headings: name, then sizes.
template <typename Row>
void Table(const std::string& path, Row row) {
  const auto text = ReadAttribute(path);
  if (!text) return;
  bool heading = true;
  ForEachLine(*text, [&](std::string_view line) {
    if (!std::exchange(heading, false)) row(Words(line));
  });
}

void AddFilesystem(const std::string& dir, std::string_view uuid, MetricSink& sink) {
  sink.Family("node_bcachefs_info", MetricType::kGauge, "A constant 1 for each file system.");
  sink.Add({{"uuid", uuid}}, 1);
  if (const auto text = ReadAttribute(dir + "/btree_cache_size")) {
    if (const auto bytes = Size(*text)) {
      sink.Family("node_bcachefs_btree_cache_size_bytes", MetricType::kGauge,
                  "Memory of the btree cache, in bytes.");
      sink.Add({{"uuid", uuid}}, *bytes);
    }
  }
  Table(dir + "/compression_stats", [&](const std::vector<std::string_view>& words) {
    if (words.size() < 3) return;
    const auto compressed = Size(words[1]), plain = Size(words[2]);
    if (!compressed || !plain) return;
    sink.Family("node_bcachefs_compression_compressed_bytes", MetricType::kGauge,
                "Compressed size of what an algorithm compressed, in bytes.");
    sink.Add({{"uuid", uuid}, {"algorithm", words[0]}}, *compressed);
    sink.Family("node_bcachefs_compression_uncompressed_bytes", MetricType::kGauge,
                "Plain size of what an algorithm compressed, in bytes.");
    sink.Add({{"uuid", uuid}, {"algorithm", words[0]}}, *plain);
  });
  if (const auto text = ReadAttribute(dir + "/errors")) {
    ForEachLine(*text, [&](std::string_view line) {
      const auto words = Words(line);
      const auto count = words.size() > 1 ? Real(words[1]) : std::nullopt;
      if (!count) return;
      sink.Family("node_bcachefs_errors_total", MetricType::kCounter, "Errors by their kind.");
      sink.Add({{"uuid", uuid}, {"error_type", words[0]}}, *count);
    });
  }
  Table(dir + "/btree_write_stats", [&](const std::vector<std::string_view>& words) {
    if (words.size() < 3) return;
    std::string_view type = words[0];
    if (type.ends_with(':')) type.remove_suffix(1);
    const auto count = Real(words[1]), bytes = Size(words[2]);
    if (!count || !bytes) return;
    sink.Family("node_bcachefs_btree_writes_total", MetricType::kCounter,
                "Writes of btree nodes by their kind.");
    sink.Add({{"uuid", uuid}, {"type", type}}, *count);
    sink.Family("node_bcachefs_btree_write_average_size_bytes", MetricType::kGauge,
                "Average size of such a write, in bytes.");
    sink.Add({{"uuid", uuid}, {"type", type}}, *bytes);
  });
  for (const std::string& counter : ListDirectory(dir + "/counters")) {
    const auto text = ReadAttribute(StrCat(dir, "/counters/", counter));
    if (!text) continue;
    for (const auto& [key, value] : Pairs(*text)) {
      const auto count = key == "since filesystem creation" ? Size(value) : std::nullopt;
      if (!count) continue;
      sink.Family(StrCat("node_bcachefs_", MetricPart(counter), "_total"), MetricType::kCounter,
                  StrCat("The counter ", counter, " of bcachefs since the file system was made."));
      sink.Add({{"uuid", uuid}}, *count);
    }
  }
}

void AddDevice(const std::string& dir, std::string_view uuid, std::string_view device,
               MetricSink& sink) {
  const auto size_of = [&](const char* file) {
    const auto text = ReadAttribute(StrCat(dir, "/", file));
    return text ? Size(*text) : std::nullopt;
  };
  sink.Family("node_bcachefs_device_info", MetricType::kGauge, "A constant 1 for each device.");
  sink.Add({{"uuid", uuid},
            {"device", device},
            {"label", ReadAttribute(dir + "/label").value_or("")},
            {"state", ReadAttribute(dir + "/state").value_or("")}},
           1);
  const struct {
    const char* file;
    const char* family;
    const char* help;
  } kNumbers[] = {
      {"bucket_size", "node_bcachefs_device_bucket_size_bytes", "Size of a bucket, in bytes."},
      {"nbuckets", "node_bcachefs_device_buckets", "Buckets of the device."},
      {"durability", "node_bcachefs_device_durability", "How much a copy on the device counts."}};
  for (const auto& n : kNumbers) {
    const auto value = size_of(n.file);
    if (!value) continue;
    sink.Family(n.family, MetricType::kGauge, n.help);
    sink.Add({{"uuid", uuid}, {"device", device}}, *value);
  }
  if (const auto text = ReadAttribute(dir + "/io_done")) {
    std::string_view operation;
    for (const auto& [key, value] : Pairs(*text)) {
      if (value.empty()) {
        operation = Trim(key);  // "read:" and "write:" head what follows.
        continue;
      }
      const auto bytes = Real(value);
      if (!bytes || operation.empty()) continue;
      sink.Family("node_bcachefs_device_io_done_bytes_total", MetricType::kCounter,
                  "Bytes read and written by kind of data.");
      sink.Add({{"uuid", uuid},
                {"device", device},
                {"operation", operation},
                {"data_type", Trim(key)}},
               *bytes);
    }
  }
  if (const auto text = ReadAttribute(dir + "/io_errors")) {
    // First since the file system was made, then since somebody set them back.
    bool since_made = true;
    ForEachLine(*text, [&](std::string_view line) {
      if (line.starts_with("IO errors since ")) {
        since_made = line.starts_with("IO errors since filesystem creation");
      }
      const size_t colon = line.find(':');
      if (!since_made || colon == std::string_view::npos) return;
      const auto count = Real(Trim(line.substr(colon + 1)));
      if (!count) return;
      sink.Family("node_bcachefs_device_io_errors_total", MetricType::kCounter,
                  "Errors of the device by operation, since the file system was made.");
      sink.Add({{"uuid", uuid}, {"device", device}, {"type", Trim(line.substr(0, colon))}}, *count);
    });
  }
}

}  // namespace

Status CollectBcachefs(const Host& host, MetricSink& sink) {
  const std::string root = host.Sys("fs/bcachefs");
  const std::vector<std::string> all = ListDirectory(root);
  if (all.empty()) return NotFound(StrCat(root, ": no bcachefs is mounted"));
  for (const std::string& uuid : all) {
    const std::string dir = StrCat(root, "/", uuid);
    AddFilesystem(dir, uuid, sink);
    for (const std::string& name : ListDirectory(dir)) {
      if (name.starts_with("dev-")) AddDevice(StrCat(dir, "/", name), uuid, name.substr(4), sink);
    }
  }
  return {};
}

}  // namespace vedette::agent
