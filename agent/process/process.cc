#include "agent/process/process.h"

#include <dirent.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

#include "common/base/strings.h"

namespace vedette::agent {
namespace {

constexpr size_t kMaxFileBytes = 1 << 20;
const double kTicks = static_cast<double>(sysconf(_SC_CLK_TCK));

std::string ReadSmall(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text;
  char buffer[4096];
  while (in && text.size() < kMaxFileBytes) {
    in.read(buffer, sizeof buffer);
    text.append(buffer, static_cast<size_t>(in.gcount()));
  }
  return text;
}

double Number(std::string_view text) {
  double v = 0;
  text = Trim(text);
  std::from_chars(text.data(), text.data() + text.size(), v);
  return v;
}

// "Name:   12 kB" lines.
double LineValue(std::string_view text, std::string_view name) {
  size_t at = 0;
  while (at < text.size()) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    if (line.starts_with(name) && line.size() > name.size() && line[name.size()] == ':') {
      return Number(line.substr(name.size() + 1));
    }
    at = end + 1;
  }
  return 0;
}

struct Counts {
  // CPU time in clock ticks: whole numbers do not drift when they are summed.
  double user = 0, system = 0, read = 0, write = 0, major = 0, minor = 0, voluntary = 0,
         nonvoluntary = 0;

  void AddGrowth(const Counts& now, const Counts& then) {
    const auto grow = [](double a, double b) { return std::max(0.0, a - b); };
    user += grow(now.user, then.user);
    system += grow(now.system, then.system);
    read += grow(now.read, then.read);
    write += grow(now.write, then.write);
    major += grow(now.major, then.major);
    minor += grow(now.minor, then.minor);
    voluntary += grow(now.voluntary, then.voluntary);
    nonvoluntary += grow(now.nonvoluntary, then.nonvoluntary);
  }
};

struct Process {
  ProcessIdentity id;
  uint64_t start_ticks = 0;
  char state = 'S';
  double threads = 0, resident = 0, virtual_bytes = 0, swapped = 0, pss = 0, swap_pss = 0;
  double open_fds = -1, fd_ratio = 0;
  std::string wchan;
  Counts counts;
  bool partial = false;
};

constexpr std::string_view kStates[] = {"Other", "Running", "Sleeping", "Waiting", "Zombie"};

size_t StateIndex(char state) {
  switch (state) {
    case 'R':
      return 1;
    case 'S':
    case 'I':
      return 2;
    case 'D':
      return 3;
    case 'Z':
      return 4;
    default:
      return 0;
  }
}

struct Group {
  Counts counts;
  double procs = 0, threads = 0, resident = 0, virtual_bytes = 0, swapped = 0, pss = 0,
         swap_pss = 0, open_fds = 0, worst_fd_ratio = 0, oldest = 0;
  double states[5] = {};
  std::map<std::string, double> wchans;
};

class ProcessCollector final : public Collector {
 public:
  ProcessCollector(ProcessNaming naming, ProcessOptions options)
      : naming_(std::move(naming)), options_(std::move(options)) {}

  std::string_view name() const override { return "process"; }

  Status Collect(MetricSink& sink) override {
    boot_seconds_ = BootTime();
    for (auto& [name, group] : groups_) {
      const Counts kept = group.counts;
      group = Group{.counts = kept};
    }
    DIR* dir = opendir(options_.procfs.c_str());
    if (dir == nullptr) {
      ++scrape_errors_;
      return Unavailable(StrCat(options_.procfs, " cannot be read"));
    }
    std::map<std::pair<int64_t, uint64_t>, Counts> seen;
    while (const dirent* entry = readdir(dir)) {
      int64_t pid = 0;
      const std::string_view text = entry->d_name;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
      if (error != std::errc() || end != text.data() + text.size()) continue;
      Process p;
      // One that ended while we looked is no error.
      if (!Read(pid, p)) continue;
      const std::optional<std::string> name = naming_.GroupOf(p.id);
      if (!name) continue;
      ReadMore(p);
      AddTo(groups_[*name], p);
      partial_errors_ += p.partial;
      seen.emplace(std::pair(pid, p.start_ticks), p.counts);
    }
    closedir(dir);
    known_ = std::move(seen);
    first_ = false;
    Write(sink);
    return {};
  }

 private:
  double BootTime() const {
    const std::string stat = ReadSmall(options_.procfs + "/stat");
    const size_t at = stat.find("btime ");
    if (at == std::string::npos) return 0;
    const std::string_view rest = std::string_view(stat).substr(at + 6);
    return Number(rest.substr(0, rest.find('\n')));
  }

  std::string PathOf(const Process& p, std::string_view file) const {
    return StrCat(options_.procfs, "/", p.id.pid, "/", file);
  }

  // What names the process and /proc/PID/stat says.
  bool Read(int64_t pid, Process& p) {
    p.id.pid = pid;
    const std::string stat = ReadSmall(PathOf(p, "stat"));
    const size_t open = stat.find('('), close = stat.rfind(')');
    if (open == std::string::npos || close == std::string::npos || close + 2 > stat.size()) {
      return false;
    }
    p.id.comm = stat.substr(open + 1, close - open - 1);
    const auto fields = Split(std::string_view(stat).substr(close + 2), ' ');
    if (fields.size() < 22) return false;
    static const double page = static_cast<double>(sysconf(_SC_PAGESIZE));
    p.state = fields[0].empty() ? 'S' : fields[0][0];
    p.counts.minor = Number(fields[7]);
    p.counts.major = Number(fields[9]);
    p.counts.user = Number(fields[11]);
    p.counts.system = Number(fields[12]);
    p.threads = Number(fields[17]);
    p.start_ticks = static_cast<uint64_t>(Number(fields[19]));
    p.id.start_seconds = boot_seconds_ + static_cast<double>(p.start_ticks) / kTicks;
    p.virtual_bytes = Number(fields[20]);
    p.resident = Number(fields[21]) * page;

    const std::string cmdline = ReadSmall(PathOf(p, "cmdline"));
    for (std::string_view rest = cmdline; !rest.empty();) {
      const size_t end = rest.find('\0');
      p.id.cmdline.emplace_back(rest.substr(0, end));
      rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    }
    struct stat info{};
    if (::stat(StrCat(options_.procfs, "/", pid).c_str(), &info) == 0) {
      p.id.username = UserName(info.st_uid);
    }
    for (const std::string_view line : Split(ReadCgroup(p), '\n')) {
      const size_t colon = line.rfind(':');
      if (colon != std::string_view::npos) p.id.cgroups.emplace_back(line.substr(colon + 1));
    }
    return true;
  }
  std::string cgroup_text_;
  const std::string& ReadCgroup(const Process& p) {
    cgroup_text_ = ReadSmall(PathOf(p, "cgroup"));
    return cgroup_text_;
  }

  const std::string& UserName(uid_t uid) {
    const auto [at, fresh] = users_.try_emplace(uid);
    if (!fresh) return at->second;
    passwd entry{};
    passwd* found = nullptr;
    std::vector<char> buffer(16384);
    if (getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) {
      at->second = found->pw_name;
    } else {
      at->second = StrCat(uid);
    }
    return at->second;
  }

  // What costs more, for processes that have a group.
  void ReadMore(Process& p) const {
    const std::string status = ReadSmall(PathOf(p, "status"));
    p.swapped = LineValue(status, "VmSwap") * 1024;
    p.counts.voluntary = LineValue(status, "voluntary_ctxt_switches");
    p.counts.nonvoluntary = LineValue(status, "nonvoluntary_ctxt_switches");
    const std::string io = ReadSmall(PathOf(p, "io"));
    if (io.empty()) p.partial = true;
    p.counts.read = LineValue(io, "read_bytes");
    p.counts.write = LineValue(io, "write_bytes");
    if (options_.smaps) {
      const std::string smaps = ReadSmall(PathOf(p, "smaps_rollup"));
      p.pss = LineValue(smaps, "Pss") * 1024;
      p.swap_pss = LineValue(smaps, "SwapPss") * 1024;
    }
    p.wchan = ReadSmall(PathOf(p, "wchan"));
    if (p.wchan == "0") p.wchan.clear();
    if (DIR* fds = opendir(PathOf(p, "fd").c_str())) {
      p.open_fds = 0;
      while (const dirent* entry = readdir(fds)) p.open_fds += entry->d_name[0] != '.';
      closedir(fds);
      const std::string limits = ReadSmall(PathOf(p, "limits"));
      if (const size_t at = limits.find("Max open files"); at != std::string::npos) {
        const double most = Number(Trim(std::string_view(limits).substr(at + 14)));
        if (most > 0) p.fd_ratio = p.open_fds / most;
      }
    } else {
      p.partial = true;
    }
  }

  void AddTo(Group& group, const Process& p) const {
    const auto before = known_.find({p.id.pid, p.start_ticks});
    if (before != known_.end()) {
      group.counts.AddGrowth(p.counts, before->second);
    } else if (!first_) {
      group.counts.AddGrowth(p.counts, Counts());
    }
    ++group.procs;
    group.threads += p.threads;
    group.resident += p.resident;
    group.virtual_bytes += p.virtual_bytes;
    group.swapped += p.swapped;
    group.pss += p.pss;
    group.swap_pss += p.swap_pss;
    group.open_fds += std::max(0.0, p.open_fds);
    group.worst_fd_ratio = std::max(group.worst_fd_ratio, p.fd_ratio);
    if (group.oldest == 0 || p.id.start_seconds < group.oldest) group.oldest = p.id.start_seconds;
    ++group.states[StateIndex(p.state)];
    if (!p.wchan.empty()) ++group.wchans[p.wchan];
  }

  void Write(MetricSink& sink) const {
    const auto family = [&](std::string_view name, MetricType type, std::string_view help,
                            const auto& each) {
      sink.Family(StrCat("namedprocess_namegroup_", name), type, help);
      for (const auto& [group_name, group] : groups_) each(group_name, group);
    };
    const auto plain = [&](std::string_view name, MetricType type, std::string_view help,
                           const auto& value) {
      family(name, type, help, [&](const std::string& n, const Group& g) {
        sink.Add({{"groupname", n}}, value(g));
      });
    };
    constexpr MetricType kC = MetricType::kCounter, kG = MetricType::kGauge;
    plain("num_procs", kG, "Processes in the group.", [](const Group& g) { return g.procs; });
    family("cpu_seconds_total", kC, "CPU time the group used, in seconds.",
           [&](const std::string& n, const Group& g) {
             sink.Add({{"groupname", n}, {"mode", "user"}}, g.counts.user / kTicks);
             sink.Add({{"groupname", n}, {"mode", "system"}}, g.counts.system / kTicks);
           });
    plain("read_bytes_total", kC, "Bytes the group read from storage.",
          [](const Group& g) { return g.counts.read; });
    plain("write_bytes_total", kC, "Bytes the group wrote to storage.",
          [](const Group& g) { return g.counts.write; });
    plain("major_page_faults_total", kC, "Major page faults of the group.",
          [](const Group& g) { return g.counts.major; });
    plain("minor_page_faults_total", kC, "Minor page faults of the group.",
          [](const Group& g) { return g.counts.minor; });
    family("context_switches_total", kC, "Context switches of the group's main threads.",
           [&](const std::string& n, const Group& g) {
             sink.Add({{"ctxswitchtype", "voluntary"}, {"groupname", n}}, g.counts.voluntary);
             sink.Add({{"ctxswitchtype", "nonvoluntary"}, {"groupname", n}},
                      g.counts.nonvoluntary);
           });
    family("memory_bytes", kG, "Memory of the group by kind, in bytes.",
           [&](const std::string& n, const Group& g) {
             sink.Add({{"groupname", n}, {"memtype", "resident"}}, g.resident);
             sink.Add({{"groupname", n}, {"memtype", "virtual"}}, g.virtual_bytes);
             sink.Add({{"groupname", n}, {"memtype", "swapped"}}, g.swapped);
             if (!options_.smaps) return;
             sink.Add({{"groupname", n}, {"memtype", "proportionalResident"}}, g.pss);
             sink.Add({{"groupname", n}, {"memtype", "proportionalSwapped"}}, g.swap_pss);
           });
    plain("open_filedesc", kG, "Open file descriptors of the group.",
          [](const Group& g) { return g.open_fds; });
    plain("worst_fd_ratio", kG,
          "The largest part of its limit of descriptors that a process of the group has open.",
          [](const Group& g) { return g.worst_fd_ratio; });
    // A group whose processes have all ended has none that is oldest.
    plain("oldest_start_time_seconds", kG,
          "When the group's oldest process began, in seconds since the Unix epoch.",
          [](const Group& g) { return g.oldest; });
    plain("num_threads", kG, "Threads in the group.", [](const Group& g) { return g.threads; });
    family("states", kG, "Processes of the group by state.",
           [&](const std::string& n, const Group& g) {
             for (size_t i = 0; i < std::size(kStates); ++i) {
               sink.Add({{"groupname", n}, {"state", kStates[i]}}, g.states[i]);
             }
           });
    family("threads_wchan", kG, "Main threads of the group by where in the kernel they wait.",
           [&](const std::string& n, const Group& g) {
             for (const auto& [wchan, count] : g.wchans) {
               sink.Add({{"groupname", n}, {"wchan", wchan}}, count);
             }
           });
    sink.Counter("namedprocess_scrape_errors", "Looks at /proc that found nothing.",
                 scrape_errors_);
    sink.Counter("namedprocess_scrape_partial_errors",
                 "Processes of which a part could not be read.", partial_errors_);
    sink.Counter("namedprocess_scrape_procread_errors", "Processes that could not be read.", 0);
  }

  const ProcessNaming naming_;
  const ProcessOptions options_;
  double boot_seconds_ = 0;
  bool first_ = true;
  std::map<std::string, Group> groups_;
  std::map<std::pair<int64_t, uint64_t>, Counts> known_;  // By pid and start.
  std::map<uid_t, std::string> users_;
  double scrape_errors_ = 0, partial_errors_ = 0;
};

}  // namespace

std::unique_ptr<Collector> MakeProcessCollector(ProcessNaming naming, ProcessOptions options) {
  return std::make_unique<ProcessCollector>(std::move(naming), std::move(options));
}

}  // namespace vedette::agent
