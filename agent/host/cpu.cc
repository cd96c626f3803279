#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "agent/host/collector_groups.h"
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

Status CollectCpuTimes(const Host& host,
                       std::vector<std::pair<std::string, CpuTimes>>& last, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(host.Proc("stat")));
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
  if (!host.options.cpu_guest) return {};
  sink.Family("node_cpu_guest_seconds_total", MetricType::kCounter,
              "Seconds the CPUs spent on guests (VMs), in each mode.");
  for (const auto& [cpu, times] : now) {
    sink.Add({{"cpu", cpu}, {"mode", "user"}}, times[8]);
    sink.Add({{"cpu", cpu}, {"mode", "nice"}}, times[9]);
  }
  return {};
}

// One block of /proc/cpuinfo a CPU, "key : value" lines. What the CPU can do (flags) and cannot be
// trusted with (bugs) is told of the first one only: they are alike.
Status CollectCpuInfo(const Host& host, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(host.Proc("cpuinfo")));
  std::map<std::string, std::string, std::less<>> cpu;
  bool first = true;
  const auto add_words = [&](const char* family, const char* help, const char* label,
                             const std::string& values, const std::string& wanted,
                             const Filter& filter) {
    if (wanted.empty()) return;
    for (const std::string_view word : Words(values)) {
      if (!filter.Passes(word)) continue;
      sink.Family(family, MetricType::kGauge, help);
      sink.Add({{label, word}}, 1);
    }
  };
  const auto add = [&] {
    if (cpu.empty()) return;
    sink.Family("node_cpu_info", MetricType::kGauge, "CPU information from /proc/cpuinfo.");
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
    if (first) {
      add_words("node_cpu_flag_info",
                "The `flags` field of CPU information from /proc/cpuinfo taken from the first core.",
                "flag", cpu["flags"], host.options.cpu_flags_include, host.cpu_flags);
      add_words("node_cpu_bug_info",
                "The `bugs` field of CPU information from /proc/cpuinfo taken from the first core.",
                "bug", cpu["bugs"], host.options.cpu_bugs_include, host.cpu_bugs);
    }
    first = false;
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

// "1,3-5,9": CPUs that the scheduler leaves alone.
void CollectIsolated(const Host& host, MetricSink& sink) {
  const auto text = ReadAttribute(host.Sys("devices/system/cpu/isolated"));
  if (!text) return;
  for (const std::string_view range : Split(*text, ',')) {
    const size_t dash = range.find('-');
    const auto first = Number<int>(range.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : Number<int>(range.substr(dash + 1));
    if (!first || !last || *last - *first > 65536) continue;
    for (int cpu = *first; cpu <= *last; ++cpu) {
      sink.Family("node_cpu_isolated", MetricType::kGauge,
                  "Whether each core is isolated, information from "
                  "/sys/devices/system/cpu/isolated.");
      sink.Add({{"cpu", StrCat(cpu)}}, 1);
    }
  }
}

// Beside cpu0, cpu1, ... the folder has cpufreq, cpuidle and others.
bool IsCpu(std::string_view name) {
  return name.size() > 3 && name.starts_with("cpu") && name[3] >= '0' && name[3] <= '9';
}

// Where CPUs are: it does not change while they are the same ones.
struct Topology {
  std::vector<std::string> listed;
  struct Place {
    std::string cpu, package, core;
  };
  std::vector<Place> places;
};

void ReadTopology(const std::string& cpus, Topology& topology) {
  std::vector<std::string> listed = ListDirectory(cpus);
  if (listed == topology.listed && !topology.places.empty()) return;
  topology.places.clear();
  for (const std::string& cpu : listed) {
    if (!IsCpu(cpu)) continue;
    const std::string dir = StrCat(cpus, "/", cpu, "/topology/");
    auto package = ReadAttribute(dir + "physical_package_id");
    auto core = ReadAttribute(dir + "core_id");
    if (package && core) topology.places.push_back({cpu, *std::move(package), *std::move(core)});
  }
  topology.listed = std::move(listed);
}

void CollectThrottling(const Host& host, Topology& topology, MetricSink& sink) {
  const std::string cpus = host.Sys("devices/system/cpu");
  struct Count {
    std::string package, core;
    double value;
  };
  std::vector<Count> cores;
  std::vector<Count> packages;
  std::set<std::pair<std::string, std::string>> seen_cores;
  std::set<std::string> seen_packages;
  ReadTopology(cpus, topology);
  for (const auto& [cpu, package, core] : topology.places) {
    const std::string dir = StrCat(cpus, "/", cpu, "/thermal_throttle/");
    const auto by_core = ReadNumber(dir + "core_throttle_count");
    if (by_core && seen_cores.emplace(package, core).second) {
      cores.push_back({package, core, *by_core});
    }
    const auto by_package = ReadNumber(dir + "package_throttle_count");
    if (by_package && seen_packages.insert(package).second) {
      packages.push_back({package, "", *by_package});
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

Status CollectFrequencies(const Host& host, MetricSink& sink) {
  struct Attribute {
    const char* file;
    const char* name;
    const char* help;
  };
  static constexpr Attribute kAttributes[] = {
      {"cpuinfo_cur_freq", "node_cpu_frequency_hertz", "Current CPU thread frequency in hertz."},
      {"cpuinfo_avg_freq", "node_cpu_frequency_avg_hertz",
       "Average CPU thread frequency in hertz."},
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
  const std::string cpus = host.Sys("devices/system/cpu");
  const auto names = ListDirectory(cpus);
  for (const Attribute& a : kAttributes) {
    for (const std::string& cpu : names) {
      if (!IsCpu(cpu)) continue;
      const auto khz = ReadNumber(StrCat(cpus, "/", cpu, "/cpufreq/", a.file));
      if (!khz) continue;
      sink.Family(a.name, MetricType::kGauge, a.help);
      sink.Add({{"cpu", cpu.substr(3)}}, *khz * 1000);
    }
  }
  for (const std::string& cpu : names) {
    if (!IsCpu(cpu)) continue;
    const std::string dir = StrCat(cpus, "/", cpu, "/cpufreq/");
    const auto governor = ReadAttribute(dir + "scaling_governor");
    const auto available = ReadAttribute(dir + "scaling_available_governors");
    if (!governor || !available) continue;
    for (const std::string_view one : Words(*available)) {
      sink.Family("node_cpu_scaling_governor", MetricType::kGauge,
                  "Current enabled CPU frequency governor.");
      sink.Add({{"cpu", cpu.substr(3)}, {"governor", one}}, one == *governor ? 1 : 0);
    }
  }
  return {};
}

// "Not affected", "Vulnerable: why", "Mitigation: how".
Status CollectVulnerabilities(const Host& host, MetricSink& sink) {
  const std::string dir = host.Sys("devices/system/cpu/vulnerabilities");
  const auto names = ListDirectory(dir);
  if (names.empty()) return NotFound(StrCat(dir, " is missing or empty"));
  sink.Family("node_cpu_vulnerabilities_info", MetricType::kGauge,
              "Details of each CPU vulnerability reported by sysfs. The value of the series is an "
              "int encoded state of the vulnerability. The same state is stored as a string in the "
              "label");
  for (const std::string& name : names) {
    const std::string text = ReadAttribute(StrCat(dir, "/", name)).value_or("");
    std::string_view state = "unknown";
    std::string_view mitigation;
    if (text.starts_with("Not affected")) {
      state = "not affected";
    } else if (text.starts_with("Vulnerable")) {
      state = "vulnerable";
      if (text.starts_with("Vulnerable: ")) mitigation = std::string_view(text).substr(12);
    } else if (text.starts_with("Mitigation: ")) {
      state = "mitigation";
      mitigation = std::string_view(text).substr(12);
    }
    sink.Add({{"codename", name}, {"state", state}, {"mitigation", mitigation}}, 1);
  }
  return {};
}

}  // namespace

void AddCpuCollectors(const HostPtr& host, Collectors& out) {
  using Last = std::vector<std::pair<std::string, CpuTimes>>;
  Add(out,
      {"cpu", "/proc/stat, /proc/cpuinfo (with --collector.cpu.info), "
              "/sys/devices/system/cpu/{cpu*/thermal_throttle,isolated}"},
      [host, last = std::make_shared<Last>(),
       topology = std::make_shared<Topology>()](MetricSink& sink) -> Status {
        VEDETTE_RETURN_IF_ERROR(CollectCpuTimes(*host, *last, sink));
        CollectThrottling(*host, *topology, sink);
        CollectIsolated(*host, sink);
        const HostOptions& o = host->options;
        const bool info =
            o.cpu_info || !o.cpu_flags_include.empty() || !o.cpu_bugs_include.empty();
        return info ? CollectCpuInfo(*host, sink) : Status();
      });
  Add(out, {"cpufreq", "/sys/devices/system/cpu/cpu*/cpufreq"}, host, CollectFrequencies);
  Add(out, {"cpu_vulnerabilities", "/sys/devices/system/cpu/vulnerabilities", kOff}, host,
      CollectVulnerabilities);
}

}  // namespace vedette::agent
