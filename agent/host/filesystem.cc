#include <sys/statvfs.h>

#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "agent/host/collector_groups.h"
#include "agent/host/files.h"
#include "agent/host/mount_answers.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

struct Mount {
  std::string device;
  std::string mount_point;
  std::string type;
  std::string options;

  bool operator<(const Mount& other) const {
    return std::tie(device, mount_point, type) <
           std::tie(other.device, other.mount_point, other.type);
  }
};

// The kernel writes blanks in /proc/mounts as three octal digits: "\040".
std::string Unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto code = text[i] == '\\' && i + 3 < text.size()
                          ? Number<uint32_t>(text.substr(i + 1, 3), 8)
                          : std::nullopt;
    if (code) {
      out += static_cast<char>(*code);
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

bool MayHang(std::string_view type) {
  return type.starts_with("nfs") || type.starts_with("fuse") || type == "cifs" || type == "smb3" ||
         type == "ceph" || type == "9p" || type == "afs" || type == "glusterfs" || type == "lustre";
}

Status CollectFilesystems(const Host& host, MountAnswers& answers, MetricSink& sink) {
  const HostOptions& options = host.options;
  Result<std::string> text = ReadFile(options.procfs + "/1/mounts");
  if (!text.ok()) text = ReadFile(options.procfs + "/self/mounts");
  if (!text.ok()) return text.status();
  std::vector<Mount> mounts;
  std::set<Mount> seen;
  ForEachLine(*text, [&](std::string_view line) {
    const auto words = Words(line);
    if (words.size() < 4) return;
    Mount m{Unescape(words[0]), Unescape(words[1]), std::string(words[2]), std::string(words[3])};
    // With the host's root mounted elsewhere, paths lose that prefix again.
    if (options.rootfs != "/" && m.mount_point.starts_with(options.rootfs)) {
      m.mount_point.erase(0, options.rootfs.size());
      if (m.mount_point.empty()) m.mount_point.push_back('/');
    }
    if (!host.mount_points.Passes(m.mount_point) || !host.fs_types.Passes(m.type)) return;
    if (seen.insert(m).second) mounts.push_back(std::move(m));
  });

  const auto add = [&](const Mount& m, const char* name, const char* help, double value) {
    sink.Family(name, MetricType::kGauge, help);
    sink.Add({{"device", m.device}, {"mountpoint", m.mount_point}, {"fstype", m.type}}, value);
  };
  const auto path_of = [&](const Mount& m) {
    return options.rootfs == "/" ? m.mount_point : options.rootfs + m.mount_point;
  };
  std::vector<std::string> doubtful;
  for (const Mount& m : mounts) {
    if (MayHang(m.type)) doubtful.push_back(path_of(m));
  }
  const std::vector<MountAnswer> late = answers.Get(doubtful);
  auto next = late.begin();
  for (const Mount& m : mounts) {
    MountAnswer answer;
    if (MayHang(m.type)) {
      answer = *next++;
    } else {
      answer.good = statvfs(path_of(m).c_str(), &answer.fs) == 0;
    }
    const struct statvfs& fs = answer.fs;
    add(m, "node_filesystem_device_error",
        "Whether an error occurred while getting statistics for the given device.",
        answer.good ? 0 : 1);
    if (!answer.good) continue;
    const auto unit = static_cast<double>(fs.f_frsize);
    bool read_only = false;
    for (std::string_view option : Split(m.options, ',')) read_only |= option == "ro";
    add(m, "node_filesystem_size_bytes", "Filesystem size in bytes.",
        static_cast<double>(fs.f_blocks) * unit);
    add(m, "node_filesystem_free_bytes", "Filesystem free space in bytes.",
        static_cast<double>(fs.f_bfree) * unit);
    add(m, "node_filesystem_avail_bytes", "Filesystem space available to non-root users in bytes.",
        static_cast<double>(fs.f_bavail) * unit);
    add(m, "node_filesystem_files", "Filesystem total file nodes.",
        static_cast<double>(fs.f_files));
    add(m, "node_filesystem_files_free", "Filesystem total free file nodes.",
        static_cast<double>(fs.f_ffree));
    add(m, "node_filesystem_readonly", "Filesystem read-only status.", read_only ? 1 : 0);
  }
  return {};
}

}  // namespace

void AddFilesystemCollectors(const HostPtr& host, Collectors& out) {
  Add(out, {"filesystem", "/proc/1/mounts, statvfs of each mount"},
      [host, answers = std::make_shared<MountAnswers>(
                 host->options.filesystem_mount_timeout_ms)](MetricSink& sink) {
        return CollectFilesystems(*host, *answers, sink);
      });
}

}  // namespace vedette::agent
