#include <array>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/host/collector_groups.h"
#include "agent/host/files.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

std::string Sanitized(std::string_view name) {
  std::string out;
  for (const char c : name) {
    const bool kept = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    out += kept ? c : '_';
  }
  return out;
}

// Values of a kstat: "name type data" lines. Types 3 and 4 are 64-bit integers, 7 is text, which
// may hold blanks, as the names of datasets do.
template <typename Visit>
void ForEachKstat(std::string_view text, Visit visit) {
  ForEachLine(text, [&](std::string_view line) {
    const auto words = Words(line);
    if (words.size() < 3) return;
    const std::string_view type = words[1];
    if (type == "3" || type == "4") visit(words[0], type, words[2]);
    if (type == "7") {
      visit(words[0], type, Trim(line.substr(static_cast<size_t>(words[2].data() - line.data()))));
    }
  });
}

Status AddKstat(const Host& host, const char* file, const char* subsystem, MetricSink& sink,
                bool& found) {
  const Result<std::string> text = ReadFile(host.Proc(StrCat("spl/kstat/zfs/", file)));
  if (text.status().code() == StatusCode::kNotFound) return {};
  if (!text.ok()) return text.status();
  found = true;
  ForEachKstat(*text, [&](std::string_view name, std::string_view type, std::string_view value) {
    if (type == "7") return;
    const std::string clean = Sanitized(name);
    sink.Family(StrCat("node_zfs_", subsystem, "_", clean), MetricType::kUnknown,
                StrCat("kstat.zfs.misc.", file, ".", name));
    sink.Add({}, Real(value).value_or(0));
  });
  return {};
}

// The io file has a line of names and a line of numbers below a line of its own making.
void AddPoolIo(const std::string& pool, std::string_view text, MetricSink& sink) {
  std::vector<std::string_view> names;
  ForEachLine(text, [&](std::string_view line) {
    const auto words = Words(line);
    if (words.empty()) return;
    if (names.empty()) {
      if (words[0] == "nread") names = words;
      return;
    }
    for (size_t i = 0; i < words.size() && i < names.size(); ++i) {
      sink.Family(StrCat("node_zfs_zpool_", names[i]), MetricType::kUnknown,
                  StrCat("kstat.zfs.misc.io.", names[i]));
      sink.Add({{"zpool", pool}}, Real(words[i]).value_or(0));
    }
  });
}

void AddDataset(const std::string& pool, std::string_view text, MetricSink& sink) {
  std::string dataset;
  ForEachKstat(text, [&](std::string_view name, std::string_view type, std::string_view value) {
    if (type == "7") {
      if (name == "dataset_name") dataset = value;
      return;
    }
    if (dataset.empty()) return;
    sink.Family(StrCat("node_zfs_zpool_dataset_", Sanitized(name)), MetricType::kUnknown,
                StrCat("kstat.zfs.misc.objset.", name));
    sink.Add({{"zpool", pool}, {"dataset", dataset}}, Real(value).value_or(0));
  });
}

void AddPool(const std::string& dir, const std::string& pool, MetricSink& sink) {
  static constexpr const char* kStates[] = {"online",  "degraded", "faulted",  "offline",
                                            "removed", "unavail",  "suspended"};
  for (const std::string& file : ListDirectory(dir)) {
    if (file != "io" && file != "state" && !file.starts_with("objset-")) continue;
    const Result<std::string> text = ReadFile(StrCat(dir, "/", file));
    if (!text.ok()) continue;
    if (file == "io") {
      AddPoolIo(pool, *text, sink);
    } else if (file == "state") {
      std::string state(Trim(*text));
      for (char& c : state) c = static_cast<char>(c | 0x20);
      sink.Family("node_zfs_zpool_state", MetricType::kGauge, "kstat.zfs.misc.state");
      for (const char* one : kStates) {
        sink.Add({{"zpool", pool}, {"state", one}}, state == one ? 1 : 0);
      }
    } else {
      AddDataset(pool, *text, sink);
    }
  }
}

Status CollectZfs(const Host& host, MetricSink& sink) {
  static constexpr std::pair<const char*, const char*> kFiles[] = {
      {"abdstats", "abd"},          {"arcstats", "arc"},
      {"dbufstats", "dbuf"},        {"dbuf_stats", "dbuf"},
      {"dmu_tx", "dmu_tx"},         {"dnodestats", "dnode"},
      {"fm", "fm"},                 {"vdev_cache_stats", "vdev_cache"},
      {"vdev_mirror_stats", "vdev_mirror"}, {"xuio_stats", "xuio"},
      {"zfetchstats", "zfetch"},    {"zil", "zil"}};
  const std::string root = host.Proc("spl/kstat/zfs");
  bool found = false;
  for (const auto& [file, subsystem] : kFiles) {
    VEDETTE_RETURN_IF_ERROR(AddKstat(host, file, subsystem, sink, found));
  }
  if (!found) return NotFound(StrCat(root, " is missing: ZFS is not loaded"));
  for (const std::string& name : ListDirectory(root)) {
    const std::string dir = StrCat(root, "/", name);
    if (!ListDirectory(dir).empty()) AddPool(dir, name, sink);
  }
  return {};
}

}  // namespace

void AddZfsCollectors(const HostPtr& host, Collectors& out) {
  Add(out, {"zfs", "/proc/spl/kstat/zfs"}, host, CollectZfs);
}

}  // namespace vedette::agent
