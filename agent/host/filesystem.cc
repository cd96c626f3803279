#include <sys/statvfs.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <utility>

#include "agent/host/collector_groups.h"
#include "agent/host/files.h"
#include "common/base/mutex.h"
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

// A server that is gone blocks statvfs for as long as it likes, and no signal wakes it.
bool MayHang(std::string_view type) {
  return type.starts_with("nfs") || type.starts_with("fuse") || type == "cifs" || type == "smb3" ||
         type == "ceph" || type == "9p" || type == "afs" || type == "glusterfs" || type == "lustre";
}

// StuckMounts asks about mounts that may hang on a thread of their own and waits only so long. A
// mount that did not answer is not asked again before that thread is back: one thread a dead mount.
class StuckMounts {
 public:
  std::optional<int> Statvfs(const std::string& path, int64_t timeout_ms, struct statvfs* out) {
    auto call = std::make_shared<Call>();
    {
      MutexLock lock(state_->mu);
      if (!state_->stuck.insert(path).second) return std::nullopt;
    }
    std::thread([call, path, state = state_] {
      struct statvfs buffer = {};
      const int error = statvfs(path.c_str(), &buffer) == 0 ? 0 : errno;
      MutexLock lock(state->mu);
      call->buffer = buffer;
      call->error = error;
      state->stuck.erase(path);
      state->back.NotifyAll();
    }).detach();
    MutexLock lock(state_->mu);
    while (!call->error) {
      if (!state_->back.WaitFor(state_->mu, timeout_ms)) break;
    }
    if (call->error) *out = call->buffer;
    return call->error;
  }

 private:
  struct Call {
    std::optional<int> error;  // Set once the answer is there.
    struct statvfs buffer = {};
  };
  struct State {
    Mutex mu;
    CondVar back;
    std::set<std::string> stuck VEDETTE_GUARDED_BY(mu);
  };
  // Shared with threads that may outlive the collector.
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

Status CollectFilesystems(const Host& host, StuckMounts& stuck, MetricSink& sink) {
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
  for (const Mount& m : mounts) {
    const std::string path = options.rootfs == "/" ? m.mount_point : options.rootfs + m.mount_point;
    struct statvfs fs = {};
    std::optional<int> error;
    if (MayHang(m.type)) {
      error = stuck.Statvfs(path, options.filesystem_mount_timeout_ms, &fs);
    } else {
      error = statvfs(path.c_str(), &fs) == 0 ? 0 : errno;
    }
    const bool failed = !error || *error != 0;
    add(m, "node_filesystem_device_error",
        "Whether an error occurred while getting statistics for the given device.", failed ? 1 : 0);
    if (failed) continue;
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
      [host, stuck = std::make_shared<StuckMounts>()](MetricSink& sink) {
        return CollectFilesystems(*host, *stuck, sink);
      });
}

}  // namespace vedette::agent
