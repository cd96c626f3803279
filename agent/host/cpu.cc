#include "agent/host/cpu.h"

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "agent/host/files.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

// USER_HZ: the unit of /proc/stat on every Linux that node_exporter runs on.
constexpr double kTicksPerSecond = 100;

constexpr std::array<std::string_view, 8> kModes = {"user",   "nice", "system",  "idle",
                                                    "iowait", "irq",  "softirq", "steal"};

// Idle time as the kernel tells it may step back a little when a CPU comes back from a deep sleep.
// A counter that steps back looks like a restart, so the largest value seen is told instead; a step
// of more than this is a CPU that was really taken away and came back.
constexpr double kIdleJumpSeconds = 3;

using CpuTimes = std::array<double, 10>;

Status CollectCpuTimes(const HostOptions& options,
                       std::vector<std::pair<std::string, CpuTimes>>& last, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(options.procfs + "/stat"));
  std::vector<std::pair<std::string, CpuTimes>> now;
  ForEachLine(text, [&](std::string_view line) {
    if (!line.starts_with("cpu") || line.starts_with("cpu ")) return;
    const auto words = Words(line);
    CpuTimes times{};
    for (size_t i = 0; i < times.size() && i + 1 < words.size(); ++i) {
      times[i] = Real(words[i + 1]).value_or(0) / kTicksPerSecond;
    }
    now.emplace_back(words[0].substr(3), times);
  });
  for (auto& [cpu, times] : now) {
    for (const auto& [old_cpu, old] : last) {
      if (old_cpu != cpu || old[3] - times[3] > kIdleJumpSeconds) continue;
      for (size_t i = 0; i < times.size(); ++i) times[i] = std::max(times[i], old[i]);
    }
  }
  last = now;
  sink.Family("node_cpu_seconds_total", MetricType::kCounter,
              "Seconds the CPUs spent in each mode.");
  for (const auto& [cpu, times] : now) {
    for (size_t i = 0; i < kModes.size(); ++i) {
      sink.Add({{"cpu", cpu}, {"mode", kModes[i]}}, times[i]);
    }
  }
  if (!options.cpu_guest) return {};
  sink.Family("node_cpu_guest_seconds_total", MetricType::kCounter,
              "Seconds the CPUs spent on guests (VMs), in each mode.");
  for (const auto& [cpu, times] : now) {
    sink.Add({{"cpu", cpu}, {"mode", "user"}}, times[8]);
    sink.Add({{"cpu", cpu}, {"mode", "nice"}}, times[9]);
  }
  return {};
}

// One block of /proc/cpuinfo a CPU, "key : value" lines.
Status CollectCpuInfo(const HostOptions& options, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(options.procfs + "/cpuinfo"));
  std::map<std::string, std::string, std::less<>> cpu;
  sink.Family("node_cpu_info", MetricType::kGauge, "CPU information from /proc/cpuinfo.");
  const auto add = [&] {
    if (cpu.empty()) return;
    sink.Add({{"package", cpu["physical id"]},
              {"core", cpu["core id"]},
              {"cpu", cpu["processor"]},
              {"vendor", cpu["vendor_id"]},
              {"family", cpu["cpu family"]},
              {"model", cpu["model"]},
              {"model_name", cpu["model name"]},
              {"microcode", cpu["microcode"]},
              {"stepping", cpu["stepping"]},
              {"cachesize", cpu["cache size"]}},
             1);
    cpu.clear();
  };
  ForEachLine(text, [&](std::string_view line) {
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) {
      add();
    } else {
      cpu[std::string(Trim(line.substr(0, colon)))] = Trim(line.substr(colon + 1));
    }
  });
  add();
  return {};
}

void CollectThrottling(const HostOptions& options, MetricSink& sink) {
  const std::string cpus = options.sysfs + "/devices/system/cpu";
  struct Count {
    std::string package, core;
    double value;
  };
  std::vector<Count> cores;
  std::vector<Count> packages;
  std::set<std::pair<std::string, std::string>> seen_cores;
  std::set<std::string> seen_packages;
  for (const std::string& cpu : ListDirectory(cpus)) {
    if (!cpu.starts_with("cpu") || cpu.size() < 4 || cpu[3] < '0' || cpu[3] > '9') continue;
    const std::string dir = StrCat(cpus, "/", cpu);
    const auto package = ReadAttribute(dir + "/topology/physical_package_id");
    const auto core = ReadAttribute(dir + "/topology/core_id");
    if (!package || !core) continue;
    const auto by_core = ReadNumber(dir + "/thermal_throttle/core_throttle_count");
    if (by_core && seen_cores.emplace(*package, *core).second) {
      cores.push_back({*package, *core, *by_core});
    }
    const auto by_package = ReadNumber(dir + "/thermal_throttle/package_throttle_count");
    if (by_package && seen_packages.insert(*package).second) {
      packages.push_back({*package, "", *by_package});
    }
  }
  if (!cores.empty()) {
    sink.Family("node_cpu_core_throttles_total", MetricType::kCounter,
                "Number of times this CPU core has been throttled.");
    for (const Count& c : cores) sink.Add({{"core", c.core}, {"package", c.package}}, c.value);
  }
  if (!packages.empty()) {
    sink.Family("node_cpu_package_throttles_total", MetricType::kCounter,
                "Number of times this CPU package has been throttled.");
    for (const Count& c : packages) sink.Add({{"package", c.package}}, c.value);
  }
}

Status CollectFrequencies(const HostOptions& options, MetricSink& sink) {
  struct Attribute {
    const char* file;
    const char* name;
    const char* help;
  };
  static constexpr Attribute kAttributes[] = {
      {"cpuinfo_cur_freq", "node_cpu_frequency_hertz", "Current CPU thread frequency in hertz."},
      {"cpuinfo_min_freq", "node_cpu_frequency_min_hertz",
       "Minimum CPU thread frequency in hertz."},
      {"cpuinfo_max_freq", "node_cpu_frequency_max_hertz",
       "Maximum CPU thread frequency in hertz."},
      {"scaling_cur_freq", "node_cpu_scaling_frequency_hertz",
       "Current scaled CPU thread frequency in hertz."},
      {"scaling_min_freq", "node_cpu_scaling_frequency_min_hertz",
       "Minimum scaled CPU thread frequency in hertz."},
      {"scaling_max_freq", "node_cpu_scaling_frequency_max_hertz",
       "Maximum scaled CPU thread frequency in hertz."},
  };
  const std::string cpus = options.sysfs + "/devices/system/cpu";
  const auto names = ListDirectory(cpus);
  for (const Attribute& a : kAttributes) {
    for (const std::string& cpu : names) {
      if (!cpu.starts_with("cpu")) continue;
      const auto khz = ReadNumber(StrCat(cpus, "/", cpu, "/cpufreq/", a.file));
      if (!khz) continue;
      sink.Family(a.name, MetricType::kGauge, a.help);
      sink.Add({{"cpu", cpu.substr(3)}}, *khz * 1000);
    }
  }
  return {};
}

Status CollectStat(const HostOptions& options, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(options.procfs + "/stat"));
  ForEachLine(text, [&](std::string_view line) {
    const auto words = Words(line);
    if (words.size() < 2) return;
    const double value = Real(words[1]).value_or(0);
    if (words[0] == "intr") {
      sink.Counter("node_intr_total", "Total number of interrupts serviced.", value);
    } else if (words[0] == "ctxt") {
      sink.Counter("node_context_switches_total", "Total number of context switches.", value);
    } else if (words[0] == "processes") {
      sink.Counter("node_forks_total", "Total number of forks.", value);
    } else if (words[0] == "btime") {
      sink.Gauge("node_boot_time_seconds", "Node boot time, in unixtime.", value);
    } else if (words[0] == "procs_running") {
      sink.Gauge("node_procs_running", "Number of processes in runnable state.", value);
    } else if (words[0] == "procs_blocked") {
      sink.Gauge("node_procs_blocked", "Number of processes blocked waiting for I/O to complete.",
                 value);
    } else if (words[0] == "softirq" && options.stat_softirq) {
      static constexpr std::string_view kVectors[] = {
          "hi",           "timer",   "net_tx", "net_rx",  "block",
          "block_iopoll", "tasklet", "sched",  "hrtimer", "rcu"};
      sink.Family("node_softirqs_total", MetricType::kCounter, "Number of softirq calls.");
      for (size_t i = 0; i < std::size(kVectors) && i + 2 < words.size(); ++i) {
        sink.Add({{"vector", kVectors[i]}}, Real(words[i + 2]).value_or(0));
      }
    }
  });
  return {};
}

Status CollectSchedstat(const HostOptions& options, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(options.procfs + "/schedstat"));
  constexpr double kNanoseconds = 1e9;
  struct Column {
    size_t word;
    double unit;
    const char* name;
    const char* help;
  };
  static constexpr Column kColumns[] = {
      {7, kNanoseconds, "node_schedstat_running_seconds_total",
       "Number of seconds CPU spent running a process."},
      {8, kNanoseconds, "node_schedstat_waiting_seconds_total",
       "Number of seconds spent by processing waiting for this CPU."},
      {9, 1, "node_schedstat_timeslices_total", "Number of timeslices executed by CPU."}};
  ForEachLine(text, [&](std::string_view line) {
    if (!line.starts_with("cpu")) return;
    const auto words = Words(line);
    if (words.size() < 10) return;
    for (const Column& c : kColumns) {
      sink.Family(c.name, MetricType::kCounter, c.help);
      sink.Add({{"cpu", words[0].substr(3)}}, Real(words[c.word]).value_or(0) / c.unit);
    }
  });
  return {};
}

Status CollectSoftnet(const HostOptions& options, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(options.procfs + "/net/softnet_stat"));
  struct Column {
    size_t word;
    MetricType type;
    const char* name;
    const char* help;
  };
  static constexpr Column kColumns[] = {
      {0, MetricType::kCounter, "node_softnet_processed_total", "Number of processed packets"},
      {1, MetricType::kCounter, "node_softnet_dropped_total", "Number of dropped packets"},
      {2, MetricType::kCounter, "node_softnet_times_squeezed_total",
       "Number of times processing packets ran out of quota"},
      {8, MetricType::kCounter, "node_softnet_cpu_collision_total",
       "Number of collision occur while obtaining device lock while transmitting"},
      {9, MetricType::kCounter, "node_softnet_received_rps_total",
       "Number of times cpu woken up received_rps"},
      {10, MetricType::kCounter, "node_softnet_flow_limit_count_total",
       "Number of times flow limit has been reached"},
      {11, MetricType::kGauge, "node_softnet_backlog_len", "Softnet backlog status"},
  };
  int row = 0;
  ForEachLine(text, [&](std::string_view line) {
    const auto words = Words(line);
    if (words.empty()) return;
    // Newer kernels skip CPUs that are off and name the CPU in the thirteenth column.
    const int cpu = words.size() > 12 ? Number<int>(words[12], 16).value_or(row) : row;
    ++row;
    for (const Column& c : kColumns) {
      if (c.word >= words.size()) continue;
      sink.Family(c.name, c.type, c.help);
      sink.Add({{"cpu", StrCat(cpu)}}, Number<uint32_t>(words[c.word], 16).value_or(0));
    }
  });
  return {};
}

Status CollectLoadavg(const HostOptions& options, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(options.procfs + "/loadavg"));
  const auto words = Words(text);
  if (words.size() < 3) {
    return DataLoss(StrCat("three load averages expected in ", options.procfs, "/loadavg"));
  }
  sink.Gauge("node_load1", "1m load average.", Real(words[0]).value_or(0));
  sink.Gauge("node_load5", "5m load average.", Real(words[1]).value_or(0));
  sink.Gauge("node_load15", "15m load average.", Real(words[2]).value_or(0));
  return {};
}

// "some avg10=0.00 avg60=0.00 avg300=0.00 total=20420920": microseconds since the boot.
Status CollectPressure(const HostOptions& options, MetricSink& sink) {
  struct Resource {
    const char* file;
    const char* some;
    const char* some_help;
    const char* full;
    const char* full_help;
  };
  static constexpr Resource kResources[] = {
      {"cpu", "node_pressure_cpu_waiting_seconds_total",
       "Total time in seconds that processes have waited for CPU time", nullptr, nullptr},
      {"io", "node_pressure_io_waiting_seconds_total",
       "Total time in seconds that processes have waited due to IO congestion",
       "node_pressure_io_stalled_seconds_total",
       "Total time in seconds no process could make progress due to IO congestion"},
      {"memory", "node_pressure_memory_waiting_seconds_total",
       "Total time in seconds that processes have waited for memory",
       "node_pressure_memory_stalled_seconds_total",
       "Total time in seconds no process could make progress due to memory congestion"},
  };
  for (const Resource& r : kResources) {
    VEDETTE_ASSIGN_OR_RETURN(const std::string text,
                             ReadFile(StrCat(options.procfs, "/pressure/", r.file)));
    ForEachLine(text, [&](std::string_view line) {
      const size_t at = line.find("total=");
      if (at == std::string_view::npos) return;
      const double seconds = Number<uint64_t>(line.substr(at + 6)).value_or(0) / 1e6;
      if (line.starts_with("some")) sink.Counter(r.some, r.some_help, seconds);
      if (line.starts_with("full") && r.full != nullptr) sink.Counter(r.full, r.full_help, seconds);
    });
  }
  return {};
}

}  // namespace

void AddCpuCollectors(const HostOptions& options, Collectors& out) {
  Add(out, "cpu",
      [options, last = std::make_shared<std::vector<std::pair<std::string, CpuTimes>>>()](
          MetricSink& sink) -> Status {
        VEDETTE_RETURN_IF_ERROR(CollectCpuTimes(options, *last, sink));
        CollectThrottling(options, sink);
        return options.cpu_info ? CollectCpuInfo(options, sink) : Status();
      });
  Add(out, "cpufreq", [options](MetricSink& s) { return CollectFrequencies(options, s); });
  Add(out, "stat", [options](MetricSink& s) { return CollectStat(options, s); });
  Add(out, "schedstat", [options](MetricSink& s) { return CollectSchedstat(options, s); });
  Add(out, "softnet", [options](MetricSink& s) { return CollectSoftnet(options, s); });
  Add(out, "loadavg", [options](MetricSink& s) { return CollectLoadavg(options, s); });
  Add(out, "pressure", [options](MetricSink& s) { return CollectPressure(options, s); });
}

}  // namespace vedette::agent
