#include "agent/container/cgroup.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <iterator>
#include <set>
#include <utility>

#include "agent/collector/kept_files.h"
#include "common/base/clock.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

// Version 1 says "no limit" as a number near 2^63.
constexpr double kNoLimit = 4611686018427387904.0;
constexpr double kTicksPerSecond = 100;  // USER_HZ, on every architecture that we build for.

std::optional<double> ToNumber(std::string_view text) {
  text = Trim(text);
  double v = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(v)) {
    return std::nullopt;
  }
  return v;
}

// Files of control groups are read at every scrape: they are kept open.
std::optional<std::string> ReadGroupFile(const std::string& path) {
  std::string text;
  if (KeptFiles::Shared().Read(path, text) != 0) return std::nullopt;
  return text;
}

std::optional<double> ReadNumber(const std::string& path) {
  const auto text = ReadGroupFile(path);
  if (!text) return std::nullopt;
  return ToNumber(*text);
}

// "max" is no limit, which cAdvisor says as 0.
std::optional<double> ReadLimit(const std::string& path) {
  const auto text = ReadGroupFile(path);
  if (!text) return std::nullopt;
  if (Trim(*text) == "max") return 0;
  const auto v = ToNumber(*text);
  return v && *v > kNoLimit ? std::optional<double>(0) : v;
}

// Lines of "name number". The wanted ones are some of many: they are looked for in the text.
class FlatFile {
 public:
  explicit FlatFile(const std::string& path) {
    if (KeptFiles::Shared().Read(path, text_) != 0) text_.clear();
  }
  std::optional<double> Get(std::string_view name, double scale = 1) const {
    const std::string_view text = text_;
    for (size_t at = text.find(name); at != std::string_view::npos; at = text.find(name, at + 1)) {
      const size_t end = at + name.size();
      if ((at > 0 && text[at - 1] != '\n') || end >= text.size() || text[end] != ' ') continue;
      const auto v = ToNumber(text.substr(end + 1, text.find('\n', end) - end - 1));
      if (!v) return std::nullopt;
      return *v / scale;
    }
    return std::nullopt;
  }

 private:
  std::string text_;
};

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

std::optional<double> ModifiedAt(const std::string& path) {
  struct stat s;
  if (stat(path.c_str(), &s) != 0) return std::nullopt;
  return static_cast<double>(s.st_mtim.tv_sec);
}

void ReadPressure(const std::string& folder, CgroupStats& stats) {
  for (const char* what : {"cpu", "memory", "io"}) {
    const auto text = ReadGroupFile(StrCat(folder, "/", what, ".pressure"));
    if (!text) continue;
    for (const std::string_view line : Split(*text, '\n')) {
      const size_t at = line.find("total=");
      if (at == std::string_view::npos) continue;
      const auto v = ToNumber(line.substr(at + 6));
      if (!v) continue;
      if (line.starts_with("some")) stats.pressure_waiting_seconds[what] = *v / 1e6;
      if (line.starts_with("full")) stats.pressure_stalled_seconds[what] = *v / 1e6;
    }
  }
}

BlockUsage& DeviceOf(std::vector<BlockUsage>& block, std::string_view device) {
  const size_t colon = device.find(':');
  const std::string major(device.substr(0, colon));
  const std::string minor(colon == std::string_view::npos ? "" : device.substr(colon + 1));
  for (BlockUsage& b : block) {
    if (b.major == major && b.minor == minor) return b;
  }
  block.push_back({.major = major, .minor = minor});
  return block.back();
}

// Lines of "8:0 Read 4096"; the last one, "Total 123", is the sum. False where there is no such file.
bool ReadBlkio(const std::string& path, bool bytes, std::vector<BlockUsage>& block) {
  const auto text = ReadGroupFile(path);
  if (!text) return false;
  for (const std::string_view line : Split(*text, '\n')) {
    const std::vector<std::string_view> words = Split(line, ' ');
    if (words.size() != 3) continue;
    const auto v = ToNumber(words[2]);
    if (!v || words[1] == "Total") continue;
    BlockUsage& device = DeviceOf(block, words[0]);
    if (bytes) device.bytes_by_operation[std::string(words[1])] = *v;
    if (words[1] == "Read") (bytes ? device.read_bytes : device.reads) = *v;
    if (words[1] == "Write") (bytes ? device.written_bytes : device.writes) = *v;
  }
  return true;
}

// Lines of "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0".
void ReadIoStat(const std::string& path, std::vector<BlockUsage>& block) {
  const auto text = ReadGroupFile(path);
  if (!text) return;
  for (const std::string_view line : Split(*text, '\n')) {
    const std::vector<std::string_view> words = Split(line, ' ');
    if (words.size() < 2) continue;
    BlockUsage& device = DeviceOf(block, words[0]);
    for (const std::string_view word : words) {
      const size_t equals = word.find('=');
      if (equals == std::string_view::npos) continue;
      const auto v = ToNumber(word.substr(equals + 1));
      if (!v) continue;
      const std::string_view key = word.substr(0, equals);
      if (key == "rbytes") device.bytes_by_operation["Read"] = device.read_bytes = *v;
      if (key == "wbytes") device.bytes_by_operation["Write"] = device.written_bytes = *v;
      if (key == "rios") device.reads = *v;
      if (key == "wios") device.writes = *v;
    }
  }
}

void ReadProcesses(const std::string& path, CgroupStats& stats) {
  const auto text = ReadGroupFile(path);
  if (!text) return;
  stats.processes = static_cast<double>(std::ranges::count(*text, '\n'));
  const auto first = ToNumber(std::string_view(*text).substr(0, text->find('\n')));
  if (first && *first > 0) stats.first_process = static_cast<int64_t>(*first);
}

void FinishMemory(CgroupStats& stats) {
  if (!stats.memory_usage) return;
  stats.memory_working_set =
      std::max(0.0, *stats.memory_usage - stats.memory_inactive_file.value_or(0));
}

}  // namespace

std::optional<std::string> ReadSmallFile(const std::string& path) { return ReadGroupFile(path); }

Result<CgroupReader::Trees> CgroupReader::FindTrees() const {
  Trees trees;
  if (Exists(root_ + "/cgroup.controllers")) {
    trees.version2 = true;
    trees.unified = root_;
    return trees;
  }
  DIR* dir = opendir(root_.c_str());
  if (dir == nullptr) {
    return NotFound(
        StrCat("cannot read control groups under ", Quoted(root_), ": ", std::strerror(errno)));
  }
  while (const dirent* entry = readdir(dir)) {
    const std::string name = entry->d_name;
    if (name[0] == '.') continue;
    const std::string folder = StrCat(root_, "/", name);
    if (Exists(folder + "/cgroup.controllers")) {
      trees.unified = folder;
      continue;
    }
    if (!Exists(folder + "/tasks") && !Exists(folder + "/cgroup.procs")) continue;
    // "cpu,cpuacct" is one tree for both.
    for (const std::string_view controller : Split(name, ',')) {
      trees.controllers[std::string(controller)] = folder;
    }
  }
  closedir(dir);
  if (trees.controllers.empty() && trees.unified.empty()) {
    return NotFound(StrCat("no control groups under ", Quoted(root_)));
  }
  trees.version2 = trees.controllers.empty();
  return trees;
}

Result<CgroupReader::Trees> CgroupReader::KnownTrees() const {
  constexpr int64_t kGoodNs = 60'000'000'000;
  const int64_t now = SystemClock().MonotonicNs();
  {
    MutexLock lock(mu_);
    if (trees_ && now - trees_ns_ < kGoodNs) return *trees_;
  }
  VEDETTE_ASSIGN_OR_RETURN(Trees trees, FindTrees());
  MutexLock lock(mu_);
  trees_ = trees;
  trees_ns_ = now;
  return trees;
}

void CgroupReader::Walk(const std::string& root, const std::string& below, int depth, Groups& ids,
                        bool& cut) {
  if (depth > kMaxDepth || ids.size() >= kMaxGroups) {
    cut = true;
    return;
  }
  struct stat folder = {};
  if (stat((root + below).c_str(), &folder) != 0) return;
  ids[below.empty() ? "/" : below] = static_cast<double>(folder.st_mtim.tv_sec);
  // Two links are the folder's own: it has none below it, as most groups have not. To list its files
  // would cost as much as reading some of them.
  if (folder.st_nlink == 2) return;
  for (const std::string& child : KeptFiles::Shared().List(root + below, true)) {
    if (child[0] != '.') Walk(root, below + "/" + child, depth + 1, ids, cut);
  }
}

void CgroupReader::LookFor(const std::set<std::string>& ids, const std::string& tree,
                           Listed& listed) {
  const auto [groups, is_new] = listed.try_emplace(tree);
  if (!is_new) return;
  for (const std::string& id : ids) {
    // A parent comes before what is below it, and where it is not, nothing is.
    const size_t slash = id.rfind('/');
    if (slash > 0 && !groups->second.contains(id.substr(0, slash))) continue;
    if (const auto changed = ModifiedAt(tree + (id == "/" ? "" : id))) {
      groups->second.emplace(id, *changed);
    }
  }
}

Result<std::vector<CgroupStats>> CgroupReader::Read() const {
  VEDETTE_ASSIGN_OR_RETURN(const Trees trees, KnownTrees());
  std::set<std::string> ids;
  Listed listed;
  bool cut = false;
  const auto add = [&](const Groups& groups) {
    for (const auto& [id, changed] : groups) ids.insert(id);
  };
  if (trees.version2) {
    Walk(trees.unified, "", 0, listed[trees.unified], cut);
    add(listed[trees.unified]);
  } else {
    for (const char* controller : {"cpu", "cpuacct", "memory", "blkio"}) {
      const auto at = trees.controllers.find(controller);
      if (at == trees.controllers.end()) continue;
      const auto [folder, is_new] = listed.try_emplace(at->second);
      if (!is_new) continue;  // One folder for two controllers.
      Walk(at->second, "", 0, folder->second, cut);
      add(folder->second);
    }
    cut = cut || ids.size() > kMaxGroups;
    while (ids.size() > kMaxGroups) ids.erase(std::prev(ids.end()));
    // What is in these alone uses nothing that is shown.
    const auto pids = trees.controllers.find("pids");
    if (pids != trees.controllers.end()) LookFor(ids, pids->second, listed);
    if (!trees.unified.empty()) LookFor(ids, trees.unified, listed);
  }
  std::vector<CgroupStats> out;
  for (const std::string& id : ids) {
    CgroupStats stats{.id = id};
    ReadGroup(trees, listed, stats);
    out.push_back(std::move(stats));
  }
  if (cut) {
    return ResourceExhausted(
        StrCat("more than ", kMaxGroups, " control groups, or deeper than ", kMaxDepth));
  }
  return out;
}

std::string CgroupReader::MainTree(const Trees& trees) {
  if (trees.version2) return trees.unified;
  for (const char* controller : {"memory", "cpuacct", "cpu", "pids"}) {
    const auto at = trees.controllers.find(controller);
    if (at != trees.controllers.end()) return at->second;
  }
  return trees.controllers.empty() ? trees.unified : trees.controllers.begin()->second;
}

std::optional<CgroupStats> CgroupReader::ReadOne(const std::string& id) const {
  const auto trees = KnownTrees();
  if (!trees.ok() || !Exists(MainTree(*trees) + id)) return std::nullopt;
  CgroupStats stats{.id = id};
  ReadGroup(*trees, {}, stats);
  // It went away meanwhile: half of what was read is from before.
  if (!Exists(MainTree(*trees) + id)) return std::nullopt;
  return stats;
}

std::vector<std::string> CgroupReader::IdsBelow(const std::string& id) const {
  const auto trees = KnownTrees();
  if (!trees.ok()) return {};
  Groups groups;
  bool cut = false;
  Walk(MainTree(*trees), id == "/" ? "" : id, 0, groups, cut);
  std::vector<std::string> ids;
  for (const auto& [one, changed] : groups) ids.push_back(one);
  return ids;
}

std::vector<std::string> CgroupReader::Folders(const std::string& id) const {
  const auto trees = KnownTrees();
  if (!trees.ok()) return {};
  return {MainTree(*trees) + (id == "/" ? "" : id)};
}

bool CgroupReader::HasGroup(const Listed& listed, const std::string& tree, const std::string& id) {
  const auto groups = listed.find(tree);
  if (groups != listed.end()) return groups->second.contains(id);
  return Exists(tree + (id == "/" ? "" : id));
}

std::optional<double> CgroupReader::ChangedAt(const Listed& listed, const std::string& tree,
                                              const std::string& id) {
  const auto groups = listed.find(tree);
  if (groups != listed.end()) {
    if (const auto at = groups->second.find(id); at != groups->second.end()) return at->second;
  }
  return ModifiedAt(tree + (id == "/" ? "" : id));
}

void CgroupReader::ReadGroup(const Trees& trees, const Listed& listed, CgroupStats& stats) const {
  const std::string below = stats.id == "/" ? "" : stats.id;
  if (trees.version2) {
    stats.start_time_seconds = ChangedAt(listed, trees.unified, stats.id);
    ReadVersion2(trees.unified + below, stats);
  } else {
    ReadVersion1(trees, listed, stats);
    // Only systemd makes its groups in the unified tree, too.
    if (!trees.unified.empty() && HasGroup(listed, trees.unified, stats.id)) {
      ReadPressure(trees.unified + below, stats);
    }
  }
  FinishMemory(stats);
}

void CgroupReader::ReadVersion1(const Trees& trees, const Listed& listed, CgroupStats& s) const {
  const auto folder = [&](const char* controller) -> std::string {
    const auto at = trees.controllers.find(controller);
    if (at == trees.controllers.end()) return "";
    if (s.id == "/") return at->second;
    // A group may be in some of the trees only: one look instead of one for each of its files.
    return HasGroup(listed, at->second, s.id) ? at->second + s.id : "";
  };
  if (const std::string f = folder("cpuacct"); !f.empty()) {
    s.start_time_seconds = ChangedAt(listed, trees.controllers.at("cpuacct"), s.id);
    if (const auto text = ReadGroupFile(f + "/cpuacct.usage_percpu")) {
      int cpu = 0;
      for (const std::string_view word : Split(Trim(*text), ' ')) {
        const auto v = ToNumber(word);
        if (v && *v > 0) {
          s.cpu_usage_seconds[StrCat("cpu", cpu < 10 ? "0" : "", cpu)] = *v / 1e9;
        }
        if (v) ++cpu;
      }
    }
    if (s.cpu_usage_seconds.empty()) {
      if (const auto v = ReadNumber(f + "/cpuacct.usage")) s.cpu_usage_seconds["total"] = *v / 1e9;
    }
    const FlatFile stat(f + "/cpuacct.stat");
    s.cpu_user_seconds = stat.Get("user", kTicksPerSecond);
    s.cpu_system_seconds = stat.Get("system", kTicksPerSecond);
  }
  if (const std::string f = folder("cpu"); !f.empty()) {
    const FlatFile stat(f + "/cpu.stat");
    s.cfs_periods = stat.Get("nr_periods");
    s.cfs_throttled_periods = stat.Get("nr_throttled");
    s.cfs_throttled_seconds = stat.Get("throttled_time", 1e9);
    s.cfs_burst_periods = stat.Get("nr_bursts");
    s.cfs_burst_seconds = stat.Get("burst_time", 1e9);
    s.cpu_period = ReadNumber(f + "/cpu.cfs_period_us");
    s.cpu_quota = ReadNumber(f + "/cpu.cfs_quota_us");
    if (s.cpu_quota && *s.cpu_quota < 0) s.cpu_quota.reset();
    s.cpu_shares = ReadNumber(f + "/cpu.shares");
    ReadProcesses(f + "/cgroup.procs", s);
  }
  if (const std::string f = folder("memory"); !f.empty()) {
    if (!s.start_time_seconds) {
      s.start_time_seconds = ChangedAt(listed, trees.controllers.at("memory"), s.id);
    }
    const FlatFile stat(f + "/memory.stat");
    s.memory_usage = ReadNumber(f + "/memory.usage_in_bytes");
    s.memory_max_usage = ReadNumber(f + "/memory.max_usage_in_bytes");
    s.memory_failcnt = ReadNumber(f + "/memory.failcnt");
    s.memory_kernel = ReadNumber(f + "/memory.kmem.usage_in_bytes");
    s.memory_rss = stat.Get("total_rss");
    s.memory_cache = stat.Get("total_cache");
    s.memory_swap = stat.Get("total_swap");
    s.memory_mapped_file = stat.Get("total_mapped_file");
    s.memory_active_file = stat.Get("total_active_file");
    s.memory_inactive_file = stat.Get("total_inactive_file");
    s.page_faults = stat.Get("pgfault");
    s.major_page_faults = stat.Get("pgmajfault");
    s.refault_anon = stat.Get("workingset_refault_anon");
    s.refault_file = stat.Get("workingset_refault_file");
    s.memory_limit = ReadLimit(f + "/memory.limit_in_bytes");
    s.memory_reservation = ReadLimit(f + "/memory.soft_limit_in_bytes");
    s.memory_swap_limit = ReadLimit(f + "/memory.memsw.limit_in_bytes");
    s.oom_kills = FlatFile(f + "/memory.oom_control").Get("oom_kill");
  }
  if (const std::string f = folder("blkio"); !f.empty()) {
    // Older kernels count each group by itself only.
    if (!ReadBlkio(f + "/blkio.throttle.io_service_bytes_recursive", true, s.block)) {
      ReadBlkio(f + "/blkio.throttle.io_service_bytes", true, s.block);
    }
    if (!ReadBlkio(f + "/blkio.throttle.io_serviced_recursive", false, s.block)) {
      ReadBlkio(f + "/blkio.throttle.io_serviced", false, s.block);
    }
  }
  if (const std::string f = folder("pids"); !f.empty()) {
    s.threads = ReadNumber(f + "/pids.current");
    s.threads_max = ReadLimit(f + "/pids.max");
  }
}

void CgroupReader::ReadVersion2(const std::string& f, CgroupStats& s) const {
  const FlatFile cpu(f + "/cpu.stat");
  if (const auto v = cpu.Get("usage_usec", 1e6)) s.cpu_usage_seconds["total"] = *v;
  s.cpu_user_seconds = cpu.Get("user_usec", 1e6);
  s.cpu_system_seconds = cpu.Get("system_usec", 1e6);
  s.cfs_periods = cpu.Get("nr_periods");
  s.cfs_throttled_periods = cpu.Get("nr_throttled");
  s.cfs_throttled_seconds = cpu.Get("throttled_usec", 1e6);
  s.cfs_burst_periods = cpu.Get("nr_bursts");
  s.cfs_burst_seconds = cpu.Get("burst_usec", 1e6);
  if (const auto text = ReadGroupFile(f + "/cpu.max")) {
    const std::vector<std::string_view> words = Split(Trim(*text), ' ');
    s.cpu_quota = ToNumber(words[0]);  // Not a number: "max".
    if (words.size() > 1) s.cpu_period = ToNumber(words[1]);
  }
  if (const auto weight = ReadNumber(f + "/cpu.weight")) {
    // The inverse of how container runtimes turn shares into a weight.
    s.cpu_shares = std::floor(2 + (*weight - 1) * 262142 / 9999);
  }
  ReadProcesses(f + "/cgroup.procs", s);
  s.threads = ReadNumber(f + "/pids.current");
  s.threads_max = ReadLimit(f + "/pids.max");

  const FlatFile memory(f + "/memory.stat");
  s.memory_usage = ReadNumber(f + "/memory.current");
  s.memory_max_usage = ReadNumber(f + "/memory.peak");
  s.memory_swap = ReadNumber(f + "/memory.swap.current");
  s.memory_rss = memory.Get("anon");
  s.memory_cache = memory.Get("file");
  s.memory_kernel = memory.Get("kernel");
  s.memory_mapped_file = memory.Get("file_mapped");
  s.memory_active_file = memory.Get("active_file");
  s.memory_inactive_file = memory.Get("inactive_file");
  s.memory_file_dirty = memory.Get("file_dirty");
  s.memory_file_writeback = memory.Get("file_writeback");
  s.memory_pgscan = memory.Get("pgscan");
  s.memory_pgsteal = memory.Get("pgsteal");
  s.refault_anon = memory.Get("workingset_refault_anon");
  s.refault_file = memory.Get("workingset_refault_file");
  s.page_faults = memory.Get("pgfault");
  s.major_page_faults = memory.Get("pgmajfault");
  const FlatFile events(f + "/memory.events");
  s.events_high = events.Get("high");
  s.events_max = events.Get("max");
  s.oom_kills = events.Get("oom_kill");
  s.memory_failcnt = s.events_max;  // The nearest that version 2 has.
  s.memory_limit = ReadLimit(f + "/memory.max");
  s.memory_reservation = ReadLimit(f + "/memory.min");
  s.memory_swap_limit = ReadLimit(f + "/memory.swap.max");
  // The root of version 2 has no memory.current: the machine's own figures stand in.
  if (s.id == "/" && !s.memory_usage) {
    if (const auto text = ReadSmallFile(procfs_ + "/meminfo")) {
      std::map<std::string, double, std::less<>> kib;
      for (const std::string_view line : Split(*text, '\n')) {
        const size_t colon = line.find(':');
        if (colon == std::string_view::npos) continue;
        std::string_view rest = Trim(line.substr(colon + 1));
        rest = rest.substr(0, rest.find(' '));
        if (const auto v = ToNumber(rest)) kib.emplace(line.substr(0, colon), *v);
      }
      if (kib.contains("MemTotal")) s.memory_usage = (kib["MemTotal"] - kib["MemFree"]) * 1024;
      if (!s.memory_swap) s.memory_swap = (kib["SwapTotal"] - kib["SwapFree"]) * 1024;
    }
  }
  ReadIoStat(f + "/io.stat", s.block);
  ReadPressure(f, s);
}

}  // namespace vedette::agent
