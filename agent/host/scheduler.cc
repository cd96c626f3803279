#include <array>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "agent/host/collector_groups.h"
#include "agent/host/files.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

Status CollectStat(const Host& host, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(host.Proc("stat")));
  std::vector<std::string_view> softirqs;
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
    } else if (words[0] == "softirq") {
      softirqs = words;
    }
  });
  if (!host.options.stat_softirq) return {};
  static constexpr std::string_view kVectors[] = {"hi",      "timer",        "net_tx",  "net_rx",
                                                  "block",   "block_iopoll", "tasklet", "sched",
                                                  "hrtimer", "rcu"};
  sink.Family("node_softirqs_total", MetricType::kCounter, "Number of softirq calls.");
  for (size_t i = 0; i < std::size(kVectors); ++i) {
    sink.Add({{"vector", kVectors[i]}},
             i + 2 < softirqs.size() ? Real(softirqs[i + 2]).value_or(0) : 0);
  }
  return {};
}

Status CollectSchedstat(const Host& host, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(host.Proc("schedstat")));
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

Status CollectSoftnet(const Host& host, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(host.Proc("net/softnet_stat")));
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
    if (words.size() < 9) return;
    // Newer kernels skip CPUs that are off and name the CPU in the thirteenth column.
    const int cpu = words.size() > 12 ? Number<int>(words[12], 16).value_or(row) : row;
    ++row;
    for (const Column& c : kColumns) {
      // What an old kernel does not count has not happened, as node_exporter sees it.
      const auto value =
          c.word < words.size() ? Number<uint32_t>(words[c.word], 16) : std::nullopt;
      sink.Family(c.name, c.type, c.help);
      sink.Add({{"cpu", StrCat(cpu)}}, value.value_or(0));
    }
  });
  return {};
}

Status CollectLoadavg(const Host& host, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(host.Proc("loadavg")));
  const auto words = Words(text);
  if (words.size() < 3) {
    return DataLoss(StrCat("three load averages expected in ", host.Proc("loadavg")));
  }
  sink.Gauge("node_load1", "1m load average.", Real(words[0]).value_or(0));
  sink.Gauge("node_load5", "5m load average.", Real(words[1]).value_or(0));
  sink.Gauge("node_load15", "15m load average.", Real(words[2]).value_or(0));
  return {};
}

// "some avg10=0.00 avg60=0.00 avg300=0.00 total=20420920": microseconds since the boot.
Status CollectPressure(const Host& host, MetricSink& sink) {
  struct Resource {
    const char* file;
    const char* some;
    const char* some_help;
    const char* full;
    const char* full_help;
    bool optional = false;  // Kernels before 5.18 have no irq, and others are built without it.
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
      {"irq", nullptr, nullptr, "node_pressure_irq_stalled_seconds_total",
       "Total time in seconds no process could make progress due to IRQ congestion", true},
  };
  for (const Resource& r : kResources) {
    const Result<std::string> text = ReadFile(host.Proc(StrCat("pressure/", r.file)));
    if (!text.ok() && r.optional) continue;
    if (!text.ok()) return text.status();
    ForEachLine(*text, [&](std::string_view line) {
      const size_t at = line.find("total=");
      if (at == std::string_view::npos) return;
      const double seconds = Number<uint64_t>(line.substr(at + 6)).value_or(0) / 1e6;
      if (line.starts_with("some") && r.some != nullptr) sink.Counter(r.some, r.some_help, seconds);
      if (line.starts_with("full") && r.full != nullptr) sink.Counter(r.full, r.full_help, seconds);
    });
  }
  return {};
}

// A line of names of CPUs, then a line for each interrupt with a count for each of them. Numbered
// interrupts say their controller and their devices, the others what they are.
Status CollectInterrupts(const Host& host, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(host.Proc("interrupts")));
  size_t cpus = 0;
  sink.Family("node_interrupts_total", MetricType::kCounter, "Interrupt details.");
  ForEachLine(text, [&](std::string_view line) {
    const auto words = Words(line);
    if (cpus == 0) {
      cpus = words.size();
      return;
    }
    // ERR and MIS are sums over all CPUs.
    if (words.size() < cpus + 2) return;
    const std::string_view type = words[0].substr(0, words[0].size() - 1);
    const bool numbered = Number<int>(type).has_value();
    const auto join = [&](size_t from) {
      std::string out;
      for (size_t i = from; i < words.size(); ++i) StrAppend(out, i == from ? "" : " ", words[i]);
      return out;
    };
    const std::string info = numbered ? std::string(words[cpus + 1]) : join(cpus + 1);
    const std::string devices = numbered ? join(cpus + 2) : "";
    if (!host.interrupts.Passes(StrCat(type, ";", info, ";", devices))) return;
    for (size_t cpu = 0; cpu < cpus; ++cpu) {
      const double value = Real(words[cpu + 1]).value_or(0);
      if (value == 0 && !host.options.interrupts_include_zeros) continue;
      sink.Add({{"cpu", StrCat(cpu)}, {"type", type}, {"info", info}, {"devices", devices}}, value);
    }
  });
  return {};
}

// A line of names of CPUs, then "HI: 1 0": a function of softirqs and a count for each CPU.
Status CollectSoftirqs(const Host& host, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(host.Proc("softirqs")));
  bool header = true;
  sink.Family("node_softirqs_functions_total", MetricType::kCounter, "Softirq counts per CPU.");
  ForEachLine(text, [&](std::string_view line) {
    const auto words = Words(line);
    if (!header && !words.empty()) {
      const std::string_view type = words[0].substr(0, words[0].size() - 1);
      for (size_t i = 1; i < words.size(); ++i) {
        sink.Add({{"cpu", StrCat(i - 1)}, {"type", type}}, Real(words[i]).value_or(0));
      }
    }
    header = false;
  });
  return {};
}

}  // namespace

void AddSchedulerCollectors(const HostPtr& host, Collectors& out) {
  Add(out, {"stat", "/proc/stat"}, host, CollectStat);
  Add(out, {"schedstat", "/proc/schedstat"}, host, CollectSchedstat);
  Add(out, {"softnet", "/proc/net/softnet_stat"}, host, CollectSoftnet);
  Add(out, {"loadavg", "/proc/loadavg"}, host, CollectLoadavg);
  Add(out, {"pressure", "/proc/pressure/*"}, host, CollectPressure);
  Add(out, {"interrupts", "/proc/interrupts", kOff}, host, CollectInterrupts);
  Add(out, {"softirqs", "/proc/softirqs", kOff}, host, CollectSoftirqs);
}

}  // namespace vedette::agent
