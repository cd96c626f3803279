#include "agent/container/container.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <utility>

#include "agent/container/group_watch.h"
#include "agent/container/layer_usage.h"
#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "common/log/log.h"
#include "common/model/labels.h"
#include "common/model/metric_family.h"

namespace vedette::agent {
namespace {

constexpr size_t kContainerIdLength = 64;

using Value = std::optional<double> CgroupStats::*;

struct Row {
  const char* name;
  MetricType type;
  const char* help;
  Value value;
};

constexpr MetricType kC = MetricType::kCounter;
constexpr MetricType kG = MetricType::kGauge;

// Families of one value a group and no label of their own.
constexpr Row kRows[] = {
    {"container_cpu_cfs_burst_periods_total", kC, "Periods in which the group used its burst.",
     &CgroupStats::cfs_burst_periods},
    {"container_cpu_cfs_burst_seconds_total", kC, "CPU time used above the quota, in seconds.",
     &CgroupStats::cfs_burst_seconds},
    {"container_cpu_cfs_periods_total", kC, "Enforcement periods that have passed.",
     &CgroupStats::cfs_periods},
    {"container_cpu_cfs_throttled_periods_total", kC, "Periods in which the group was throttled.",
     &CgroupStats::cfs_throttled_periods},
    {"container_cpu_cfs_throttled_seconds_total", kC, "Time the group was throttled, in seconds.",
     &CgroupStats::cfs_throttled_seconds},
    {"container_cpu_system_seconds_total", kC, "CPU time used in the kernel, in seconds.",
     &CgroupStats::cpu_system_seconds},
    {"container_cpu_user_seconds_total", kC, "CPU time used in user mode, in seconds.",
     &CgroupStats::cpu_user_seconds},
    {"container_memory_cache", kG, "Page cache, in bytes.", &CgroupStats::memory_cache},
    {"container_memory_events_high_total", kC, "Times the group went over its high boundary.",
     &CgroupStats::events_high},
    {"container_memory_events_max_total", kC, "Times the group was about to go over its limit.",
     &CgroupStats::events_max},
    {"container_memory_failcnt", kC, "Times memory use hit the limit.",
     &CgroupStats::memory_failcnt},
    {"container_memory_file_dirty_bytes", kG, "Page cache that waits to be written, in bytes.",
     &CgroupStats::memory_file_dirty},
    {"container_memory_file_writeback_bytes", kG, "Page cache that is being written, in bytes.",
     &CgroupStats::memory_file_writeback},
    {"container_memory_kernel_usage", kG, "Kernel memory, in bytes.", &CgroupStats::memory_kernel},
    {"container_memory_mapped_file", kG, "Memory-mapped files, in bytes.",
     &CgroupStats::memory_mapped_file},
    {"container_memory_max_usage_bytes", kG, "The most memory ever used, in bytes.",
     &CgroupStats::memory_max_usage},
    {"container_memory_pgscan_total", kC, "Pages scanned for reclaim.",
     &CgroupStats::memory_pgscan},
    {"container_memory_pgsteal_total", kC, "Pages reclaimed.", &CgroupStats::memory_pgsteal},
    {"container_memory_rss", kG, "Anonymous memory, in bytes.", &CgroupStats::memory_rss},
    {"container_memory_swap", kG, "Swap in use, in bytes.", &CgroupStats::memory_swap},
    {"container_memory_total_active_file_bytes", kG, "Page cache on the active list, in bytes.",
     &CgroupStats::memory_active_file},
    {"container_memory_total_inactive_file_bytes", kG, "Page cache on the inactive list, in bytes.",
     &CgroupStats::memory_inactive_file},
    {"container_memory_usage_bytes", kG, "Memory in use, page cache included, in bytes.",
     &CgroupStats::memory_usage},
    {"container_memory_working_set_bytes", kG,
     "Memory in use without the inactive page cache, in bytes.", &CgroupStats::memory_working_set},
    {"container_memory_workingset_refault_anon_total", kC,
     "Anonymous pages that were needed again after reclaim.", &CgroupStats::refault_anon},
    {"container_memory_workingset_refault_file_total", kC,
     "File pages that were needed again after reclaim.", &CgroupStats::refault_file},
    {"container_oom_events_total", kC, "Processes killed for lack of memory.",
     &CgroupStats::oom_kills},
    {"container_processes", kG, "Processes in the group itself.", &CgroupStats::processes},
    {"container_spec_cpu_period", kG, "Length of an enforcement period, in microseconds.",
     &CgroupStats::cpu_period},
    {"container_spec_cpu_quota", kG, "CPU time allowed a period, in microseconds.",
     &CgroupStats::cpu_quota},
    {"container_spec_cpu_shares", kG, "Share of CPU time.", &CgroupStats::cpu_shares},
    {"container_spec_memory_limit_bytes", kG, "Memory limit; 0: none.", &CgroupStats::memory_limit},
    {"container_spec_memory_reservation_limit_bytes", kG, "Memory kept for the group; 0: none.",
     &CgroupStats::memory_reservation},
    {"container_spec_memory_swap_limit_bytes", kG, "Swap limit; 0: none.",
     &CgroupStats::memory_swap_limit},
    {"container_start_time_seconds", kG, "When the group began, in seconds since the Unix epoch.",
     &CgroupStats::start_time_seconds},
    {"container_threads", kG, "Threads in the group.", &CgroupStats::threads},
    {"container_threads_max", kG, "The most threads allowed; 0: no limit.",
     &CgroupStats::threads_max},
};

bool IsHex(std::string_view s) {
  return std::ranges::all_of(
      s, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// A container's label as a label of ours.
std::string LabelName(std::string_view key) {
  std::string out = "container_label_";
  for (const char c : key) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    out.push_back(plain ? c : '_');
  }
  return out;
}

std::string FirstLine(const std::string& path) {
  const auto text = ReadSmallFile(path);
  return text ? std::string(Trim(text->substr(0, text->find('\n')))) : "";
}

class ContainerCollector final : public Collector {
 public:
  explicit ContainerCollector(ContainerOptions options)
      : options_(std::move(options)), reader_(options_.cgroup, options_.procfs) {
    if (options_.watch) {
      watch_ = std::make_unique<GroupWatch>(
          reader_,
          GroupWatch::Options{
              .wanted = [](std::string_view id) { return !ContainerIdOf(id).empty(); },
              // While it still runs, so that it has a name when it is gone.
              .born = [this] { AskRuntimes(true); },
              .clock = options_.clock});
    }
    if (options_.count_files) layers_ = std::make_unique<LayerUsageScanner>();
  }

  std::string_view name() const override { return "container"; }
  std::string_view reads() const override {
    return "/sys/fs/cgroup, /proc/PID/net/dev of each container, the runtimes' sockets";
  }

  Status Collect(MetricSink& sink) override {
    Machine(sink);
    AskRuntimes(false);
    AddRuntimes(sink);
    auto groups = reader_.Read();
    sink.Gauge("container_scrape_error", "1 if control groups could not be read, 0 otherwise.",
               groups.ok() ? 0 : 1);
    if (!groups.ok()) return groups.status();

    std::vector<Group> all;
    std::map<std::string, std::vector<std::string>> folders;
    {
      MutexLock lock(mu_);
      std::set<std::string> there;
      for (CgroupStats& stats : *groups) {
        there.insert(stats.id);
        all.push_back(MakeGroup(std::move(stats), options_.clock->NowMs(), folders));
      }
      if (watch_ != nullptr) {
        for (GroupWatch::Gone& gone : watch_->TakeGone()) {
          if (there.contains(gone.stats.id)) continue;  // It is back.
          all.push_back(MakeGroup(std::move(gone.stats), gone.seen_ms, folders));
          all.back().gone = true;
        }
      }
    }
    for (const Row& row : kRows) {
      bool opened = false;
      for (const Group& g : all) {
        const auto& v = g.stats.*row.value;
        if (!v) continue;
        if (!opened) sink.Family(row.name, row.type, row.help);
        opened = true;
        Put(sink, g, {}, *v);
      }
    }
    sink.Family("container_last_seen", kG,
                "When the group was last seen, in seconds since the Unix epoch.");
    for (const Group& g : all) {
      Put(sink, g, {}, std::floor(static_cast<double>(g.seen_ms) / 1000));
    }
    Times(sink, all);
    Cpu(sink, all);
    Faults(sink, all);
    Pressure(sink, all);
    Block(sink, all);
    Network(sink, all);
    Filesystems(sink, all, std::move(folders));
    Disks(sink, all);
    // As cAdvisor has it: every group has the labels of all, empty where it has none.
    std::set<std::string> names = {"name", "image"};
    for (const Group& g : all) {
      for (const auto& [name, value] : g.labels) names.insert(name);
    }
    names.erase("id");
    sink.AddBlanks("id", {names.begin(), names.end()});
    return {};
  }

 private:
  struct Group {
    CgroupStats stats;
    std::vector<std::pair<std::string, std::string>> labels;
    int64_t seen_ms = 0;
    bool gone = false;
    bool runtime_knows = false;
    double created_seconds = 0;
    std::optional<int> health;
    std::string container;  // Its id; "" if the group is none.
  };
  struct RuntimeState {
    bool up = false;
    bool absent = false;  // This host has no such runtime: nothing to alert on.
    std::string error;
  };

  // Asks every runtime what it runs, and remembers what was said: a container that is gone is still
  // called by its name. Called by the collection and, when a container is born, by the watch.
  void AskRuntimes(bool born) VEDETTE_EXCLUDES(mu_) {
    for (size_t i = 0; i < options_.runtimes.size(); ++i) {
      const ContainerRuntime& runtime = options_.runtimes[i];
      // A socket that could not be read a moment ago is not worth waiting for.
      if (born) {
        MutexLock lock(mu_);
        if (i < states_.size() && !states_[i].up) continue;
      }
      auto list = runtime.list();
      MutexLock lock(mu_);
      states_.resize(options_.runtimes.size());
      RuntimeState& state = states_[i];
      const std::string error = list.ok() ? "" : list.status().ToString();
      // A host without this runtime has no socket: nothing to mend.
      const bool absent = !list.ok() && list.status().code() == StatusCode::kNotFound;
      if (!absent && error != state.error && !error.empty()) {
        log::Warn(
            "containers have no names: the runtime's socket cannot be used; an agent that is not "
            "root must be in the group that owns it, or --container.*-socket= must say that there "
            "is none",
            {{"runtime", runtime.name}, {"socket", runtime.socket}, {"err", error}});
      }
      state = {list.ok(), absent, error};
      if (!list.ok()) continue;
      if (known_.size() > kMaxKnown) known_.clear();
      for (ContainerInfo& c : *list) {
        std::string id = c.id;
        known_[id] = std::move(c);
      }
    }
  }

  void AddRuntimes(MetricSink& sink) VEDETTE_EXCLUDES(mu_) {
    MutexLock lock(mu_);
    sink.Family("vedette_container_runtime_up", kG,
                "Whether a container runtime answered, so that names and images are known.");
    for (size_t i = 0; i < options_.runtimes.size(); ++i) {
      if (states_[i].absent) continue;
      sink.Add({{"runtime", options_.runtimes[i].name}, {"socket", options_.runtimes[i].socket}},
               states_[i].up ? 1 : 0);
    }
  }

  Group MakeGroup(CgroupStats stats, int64_t seen_ms,
                  std::map<std::string, std::vector<std::string>>& folders)
      VEDETTE_REQUIRES(mu_) {
    Group g;
    g.seen_ms = seen_ms;
    g.container = ContainerIdOf(stats.id);
    g.created_seconds = stats.start_time_seconds.value_or(0);
    g.labels.emplace_back("id", stats.id);
    const auto at = g.container.empty() ? known_.end() : known_.find(g.container);
    if (at != known_.end()) {
      const ContainerInfo& info = at->second;
      g.runtime_knows = true;
      g.labels.emplace_back("name", info.name);
      g.labels.emplace_back("image", info.image);
      if (options_.store_labels) {
        for (const auto& [k, v] : info.labels) g.labels.emplace_back(LabelName(k), v);
      }
      if (info.created_seconds > 0) g.created_seconds = info.created_seconds;
      stats.start_time_seconds =
          info.started_seconds > 0 ? info.started_seconds : g.created_seconds;
      g.health = info.health;
      if (!info.folders.empty()) folders[g.container] = info.folders;
    }
    g.stats = std::move(stats);
    return g;
  }

  static void Times(MetricSink& sink, const std::vector<Group>& all) {
    sink.Family("container_creation_time_seconds", kG,
                "When the group was made, in seconds since the Unix epoch.");
    for (const Group& g : all) {
      if (g.created_seconds > 0) Put(sink, g, {}, g.created_seconds);
    }
    sink.Family("container_health_state", kG,
                "1: healthy; 0: starting or not healthy; -1: nobody checks.");
    for (const Group& g : all) {
      if (g.health) Put(sink, g, {}, *g.health);
    }
  }

  struct Space {
    std::string device;
    double limit = 0, used = 0, inodes = 0, inodes_free = 0;
  };

  // Room of the file system that holds `path`.
  static std::optional<Space> SpaceOf(const std::string& path) {
    struct statvfs fs = {};
    if (statvfs(path.c_str(), &fs) != 0) return std::nullopt;
    const auto unit = static_cast<double>(fs.f_frsize);
    return Space{"",
                 static_cast<double>(fs.f_blocks) * unit,
                 static_cast<double>(fs.f_blocks - fs.f_bfree) * unit,
                 static_cast<double>(fs.f_files),
                 static_cast<double>(fs.f_ffree)};
  }

  // The disks that the machine has mounted, each once.
  std::vector<Space> MachineSpaces() const {
    std::vector<Space> spaces;
    std::set<std::string_view> seen;
    const auto text = ReadSmallFile(options_.procfs + "/1/mounts");
    if (!text) return spaces;
    for (const std::string_view line : Split(*text, '\n')) {
      const auto words = Split(line, ' ');
      if (words.size() < 3 || !words[0].starts_with("/dev/") || !seen.insert(words[0]).second) {
        continue;
      }
      const std::string root = options_.rootfs == "/" ? "" : options_.rootfs;
      auto space = SpaceOf(StrCat(root, words[1]));
      if (!space) continue;
      space->device = words[0];
      spaces.push_back(*std::move(space));
    }
    return spaces;
  }

  void Filesystems(MetricSink& sink, const std::vector<Group>& all,
                   std::map<std::string, std::vector<std::string>> folders) {
    std::vector<std::pair<const Group*, Space>> found;
    for (const Group& g : all) {
      if (g.stats.id == "/") {
        for (Space& s : MachineSpaces()) found.emplace_back(&g, std::move(s));
      }
    }
    if (layers_ != nullptr) {
      const auto usage = layers_->Usage();
      for (const Group& g : all) {
        const auto counted = usage.find(g.container);
        const auto at = folders.find(g.container);
        if (counted == usage.end() || at == folders.end() || at->second.empty()) continue;
        auto space = SpaceOf(at->second[0]);
        struct stat info = {};
        if (!space || stat(at->second[0].c_str(), &info) != 0) continue;
        space->device = DeviceName(StrCat(major(info.st_dev)), StrCat(minor(info.st_dev)));
        space->used = counted->second.bytes;
        space->inodes_free = space->inodes - counted->second.inodes;
        found.emplace_back(&g, *std::move(space));
      }
      layers_->Watch(std::move(folders));
    }
    const auto emit = [&](const char* family, const char* help, double Space::* value) {
      if (found.empty()) return;
      sink.Family(family, kG, help);
      for (const auto& [g, s] : found) Put(sink, *g, {{"device", s.device}}, s.*value);
    };
    emit("container_fs_limit_bytes", "Size of the file system the container is on, in bytes.",
         &Space::limit);
    emit("container_fs_usage_bytes", "What the container's own files take, in bytes.", &Space::used);
    emit("container_fs_inodes_total", "Inodes of the file system.", &Space::inodes);
    emit("container_fs_inodes_free", "Inodes that are free.", &Space::inodes_free);
  }

  // What only the machine's disks count; groups have no such figures.
  void Disks(MetricSink& sink, const std::vector<Group>& all) const {
    struct Column {
      const char* family;
      MetricType type;
      const char* help;
      size_t word;
      double divisor = 1;
    };
    static constexpr Column kColumns[] = {
        {"container_fs_reads_merged_total", kC, "Reads merged.", 4},
        {"container_fs_sector_reads_total", kC, "Sectors read.", 5},
        {"container_fs_read_seconds_total", kC, "Time spent reading, in seconds.", 6, 1000},
        {"container_fs_writes_merged_total", kC, "Writes merged.", 8},
        {"container_fs_sector_writes_total", kC, "Sectors written.", 9},
        {"container_fs_write_seconds_total", kC, "Time spent writing, in seconds.", 10, 1000},
        {"container_fs_io_current", kG, "Operations under way.", 11},
        {"container_fs_io_time_seconds_total", kC, "Time with operations under way.", 12, 1000},
        {"container_fs_io_time_weighted_seconds_total", kC,
         "Time with operations under way, times their number.", 13, 1000},
    };
    const auto root = std::ranges::find_if(all, [](const Group& g) { return g.stats.id == "/"; });
    const auto text = ReadSmallFile(options_.procfs + "/diskstats");
    if (root == all.end() || !text) return;
    for (const std::string_view line : Split(*text, '\n')) {
      std::vector<std::string_view> words;
      for (const std::string_view word : Split(line, ' ')) {
        if (!word.empty()) words.push_back(word);
      }
      if (words.size() < 14 || words[2].starts_with("loop") || words[2].starts_with("ram")) continue;
      const std::string device = StrCat("/dev/", words[2]);
      for (const Column& c : kColumns) {
        double v = 0;
        const std::string_view word = words[c.word];
        std::from_chars(word.data(), word.data() + word.size(), v);
        sink.Family(c.family, c.type, c.help);
        Put(sink, *root, {{"device", device}}, v / c.divisor);
      }
    }
  }

  using Extra = std::initializer_list<std::pair<std::string_view, std::string_view>>;

  static void Put(MetricSink& sink, const Group& g, Extra extra, double value) {
    thread_local std::vector<Label> labels;  // Kept for its memory.
    labels.clear();
    for (const auto& [n, v] : g.labels) labels.push_back({n, v});
    for (const auto& [n, v] : extra) labels.push_back({n, v});
    sink.Add(labels, value);
  }

  static void Cpu(MetricSink& sink, const std::vector<Group>& all) {
    sink.Family("container_cpu_usage_seconds_total", kC, "CPU time used, in seconds.");
    for (const Group& g : all) {
      for (const auto& [cpu, v] : g.stats.cpu_usage_seconds) Put(sink, g, {{"cpu", cpu}}, v);
    }
  }

  static void Faults(MetricSink& sink, const std::vector<Group>& all) {
    sink.Family("container_memory_failures_total", kC, "Page faults.");
    for (const Group& g : all) {
      for (const char* scope : {"container", "hierarchy"}) {
        if (g.stats.page_faults) {
          Put(sink, g, {{"failure_type", "pgfault"}, {"scope", scope}}, *g.stats.page_faults);
        }
        if (g.stats.major_page_faults) {
          Put(sink, g, {{"failure_type", "pgmajfault"}, {"scope", scope}},
              *g.stats.major_page_faults);
        }
      }
    }
  }

  static void Pressure(MetricSink& sink, const std::vector<Group>& all) {
    for (const char* what : {"cpu", "memory", "io"}) {
      const auto emit = [&](const char* word, const char* help, auto member) {
        bool opened = false;
        for (const Group& g : all) {
          const auto at = (g.stats.*member).find(what);
          if (at == (g.stats.*member).end()) continue;
          if (!opened) {
            sink.Family(StrCat("container_pressure_", what, "_", word, "_seconds_total"), kC, help);
          }
          opened = true;
          Put(sink, g, {}, at->second);
        }
      };
      emit("waiting", "Time in which some task waited for it, in seconds.",
           &CgroupStats::pressure_waiting_seconds);
      emit("stalled", "Time in which no task could go on for lack of it, in seconds.",
           &CgroupStats::pressure_stalled_seconds);
    }
  }

  std::string DeviceName(const std::string& major, const std::string& minor) const {
    const auto text = ReadSmallFile(StrCat(options_.sysfs, "/dev/block/", major, ":", minor, "/uevent"));
    if (text) {
      for (const std::string_view line : Split(*text, '\n')) {
        if (line.starts_with("DEVNAME=")) return StrCat("/dev/", line.substr(8));
      }
    }
    return StrCat(major, ":", minor);
  }

  void Block(MetricSink& sink, const std::vector<Group>& all) const {
    std::map<std::string, std::string> names;
    const auto name = [&](const BlockUsage& b) -> const std::string& {
      auto [at, is_new] = names.try_emplace(StrCat(b.major, ":", b.minor));
      if (is_new) at->second = DeviceName(b.major, b.minor);
      return at->second;
    };
    const auto emit = [&](const char* family, const char* help, double BlockUsage::* value) {
      bool opened = false;
      for (const Group& g : all) {
        for (const BlockUsage& b : g.stats.block) {
          if (!opened) sink.Family(family, kC, help);
          opened = true;
          Put(sink, g, {{"device", name(b)}}, b.*value);
        }
      }
    };
    emit("container_fs_reads_bytes_total", "Bytes read.", &BlockUsage::read_bytes);
    emit("container_fs_reads_total", "Reads.", &BlockUsage::reads);
    emit("container_fs_writes_bytes_total", "Bytes written.", &BlockUsage::written_bytes);
    emit("container_fs_writes_total", "Writes.", &BlockUsage::writes);
    bool opened = false;
    for (const Group& g : all) {
      for (const BlockUsage& b : g.stats.block) {
        for (const auto& [operation, v] : b.bytes_by_operation) {
          if (!opened) {
            sink.Family("container_blkio_device_usage_total", kC,
                        "Bytes moved to and from a block device, by operation.");
          }
          opened = true;
          Put(sink, g,
              {{"device", name(b)},
               {"major", b.major},
               {"minor", b.minor},
               {"operation", operation}},
              v);
        }
      }
    }
  }

  // A container's interfaces are those that its first process sees; the machine's are the host's.
  void Network(MetricSink& sink, const std::vector<Group>& all) const {
    struct Column {
      const char* family;
      const char* help;
      size_t index;
    };
    static constexpr Column kColumns[] = {
        {"container_network_receive_bytes_total", "Bytes received.", 0},
        {"container_network_receive_packets_total", "Packets received.", 1},
        {"container_network_receive_errors_total", "Errors while receiving.", 2},
        {"container_network_receive_packets_dropped_total", "Packets dropped on arrival.", 3},
        {"container_network_transmit_bytes_total", "Bytes sent.", 8},
        {"container_network_transmit_packets_total", "Packets sent.", 9},
        {"container_network_transmit_errors_total", "Errors while sending.", 10},
        {"container_network_transmit_packets_dropped_total", "Packets dropped on the way out.", 11},
    };
    struct Interface {
      const Group* group;
      std::string name;
      std::vector<double> numbers;
    };
    std::vector<Interface> interfaces;
    for (const Group& g : all) {
      std::string path;
      if (g.stats.id == "/") {
        path = StrCat(options_.procfs, "/1/net/dev");
      } else if (!g.container.empty() && !g.gone && g.stats.first_process > 0) {
        path = StrCat(options_.procfs, "/", g.stats.first_process, "/net/dev");
      }
      if (path.empty()) continue;
      const auto text = ReadSmallFile(path);
      if (!text) continue;
      for (const std::string_view line : Split(*text, '\n')) {
        const size_t colon = line.find(':');
        if (colon == std::string_view::npos) continue;
        const std::string_view name = Trim(line.substr(0, colon));
        if (name == "lo" || name.starts_with("veth") || name.starts_with("docker") ||
            name.starts_with("nerdctl")) {
          continue;
        }
        Interface i{.group = &g, .name = std::string(name)};
        for (const std::string_view word : Split(line.substr(colon + 1), ' ')) {
          if (word.empty()) continue;
          double v = 0;
          std::from_chars(word.data(), word.data() + word.size(), v);
          i.numbers.push_back(v);
        }
        if (i.numbers.size() >= 12) interfaces.push_back(std::move(i));
      }
    }
    if (interfaces.empty()) return;
    for (const Column& c : kColumns) {
      sink.Family(c.family, kC, c.help);
      for (const Interface& i : interfaces) {
        Put(sink, *i.group, {{"interface", i.name}}, i.numbers[c.index]);
      }
    }
  }

  // What a machine is made of, as far as it does not change while it runs.
  struct MachineFacts {
    std::string machine_id, system_uuid, boot_id;
    double cores = 0, physical_cores = 0, sockets = 0;  // No cores: not known.
  };

  MachineFacts ReadMachine() const {
    MachineFacts facts{.machine_id = FirstLine(options_.rootfs + "/etc/machine-id"),
                       .system_uuid = FirstLine(options_.sysfs + "/class/dmi/id/product_uuid"),
                       .boot_id = FirstLine(options_.procfs + "/sys/kernel/random/boot_id")};
    const auto text = ReadSmallFile(options_.procfs + "/cpuinfo");
    if (!text) return facts;
    std::set<std::string> sockets;
    std::set<std::pair<std::string, std::string>> physical;
    std::string socket;
    for (const std::string_view line : Split(*text, '\n')) {
      const size_t colon = line.find(':');
      if (colon == std::string_view::npos) continue;
      const std::string_view key = Trim(line.substr(0, colon));
      const std::string value(Trim(line.substr(colon + 1)));
      if (key == "processor") ++facts.cores;
      if (key == "physical id") sockets.insert(socket = value);
      if (key == "core id") physical.emplace(socket, value);
    }
    // Virtual machines and other architectures may not say.
    facts.physical_cores = physical.empty() ? facts.cores : static_cast<double>(physical.size());
    facts.sockets = sockets.empty() ? 1 : static_cast<double>(sockets.size());
    return facts;
  }

  void Machine(MetricSink& sink) {
    // For /proc/cpuinfo the kernel asks every CPU for its speed: not at every scrape.
    constexpr int64_t kMachineMs = 60'000;
    const int64_t now = options_.clock->NowMs();
    if (machine_read_ms_ == 0 || now - machine_read_ms_ > kMachineMs) {
      machine_ = ReadMachine();
      machine_read_ms_ = now;
    }
    const auto emit = [&](const char* family, const char* help, double v) {
      sink.Family(family, kG, help);
      sink.Add({{"machine_id", machine_.machine_id},
                {"system_uuid", machine_.system_uuid},
                {"boot_id", machine_.boot_id}},
               v);
    };
    if (machine_.cores > 0) {
      emit("machine_cpu_cores", "Logical CPUs.", machine_.cores);
      emit("machine_cpu_physical_cores", "Physical cores.", machine_.physical_cores);
      emit("machine_cpu_sockets", "CPU sockets.", machine_.sockets);
    }
    if (const auto text = ReadSmallFile(options_.procfs + "/meminfo")) {
      for (const std::string_view line : Split(*text, '\n')) {
        const bool memory = line.starts_with("MemTotal:");
        if (!memory && !line.starts_with("SwapTotal:")) continue;
        const std::string_view rest = Trim(line.substr(line.find(':') + 1));
        double kib = 0;
        std::from_chars(rest.data(), rest.data() + rest.size(), kib);
        emit(memory ? "machine_memory_bytes" : "machine_swap_bytes",
             memory ? "Memory of the machine, in bytes." : "Swap of the machine, in bytes.",
             kib * 1024);
      }
    }
  }

  MachineFacts machine_;
  int64_t machine_read_ms_ = 0;  // Not yet: 0.

  // Beyond so many containers what was known is forgotten and asked again.
  static constexpr size_t kMaxKnown = 10'000;

  const ContainerOptions options_;
  const CgroupReader reader_;
  Mutex mu_;
  std::map<std::string, ContainerInfo> known_ VEDETTE_GUARDED_BY(mu_);
  std::vector<RuntimeState> states_ VEDETTE_GUARDED_BY(mu_);
  // Last, so that their threads end first.
  std::unique_ptr<LayerUsageScanner> layers_;
  std::unique_ptr<GroupWatch> watch_;
};

}  // namespace

std::string ContainerIdOf(std::string_view cgroup_id) {
  std::string_view last = cgroup_id.substr(cgroup_id.rfind('/') + 1);
  if (last.ends_with(".scope")) last.remove_suffix(6);
  if (last.size() > kContainerIdLength) {
    const char before = last[last.size() - kContainerIdLength - 1];
    if (before != '-' && before != ':') return "";
    last = last.substr(last.size() - kContainerIdLength);
  }
  return last.size() == kContainerIdLength && IsHex(last) ? std::string(last) : "";
}

std::unique_ptr<Collector> MakeContainerCollector(ContainerOptions options) {
  return std::make_unique<ContainerCollector>(std::move(options));
}

}  // namespace vedette::agent
