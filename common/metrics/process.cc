#include "common/metrics/process.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "common/metrics/metrics.h"
#include "common/model/labels.h"

namespace vedette::metrics {
namespace {

// Nothing where it cannot be read.
std::string ReadWhole(const std::string& path) {
  std::string text;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return text;
  char buffer[8192];
  for (;;) {
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    text.append(buffer, static_cast<size_t>(n));
  }
  close(fd);
  return text;
}

std::optional<double> Number(std::string_view text) {
  double v = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return v;
}

void AppendOne(std::vector<MetricFamily>& out, std::string_view name, MetricType type,
               std::string_view help, double value) {
  MetricFamily family;
  family.name = name;
  family.metadata = {.type = type, .help = std::string(help)};
  family.samples.push_back({.labels = Labels::Of({{kMetricNameLabel, name}}), .value = value});
  out.push_back(std::move(family));
}

// /proc/self/stat from its third field on: the second, the program's name, may hold spaces and
// parentheses, so it ends at the last one.
std::vector<std::string_view> StatFields(std::string_view stat) {
  const size_t close = stat.rfind(')');
  if (close == std::string_view::npos) return {};
  return Split(Trim(stat.substr(close + 1)), ' ');
}

std::optional<double> BootSeconds(const std::string& proc_root) {
  std::istringstream lines(ReadWhole(proc_root + "/stat"));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("btime ")) return Number(Trim(std::string_view(line).substr(6)));
  }
  return std::nullopt;
}

// "Max open files            1024                 524288               files": the soft limit, or
// "unlimited".
std::optional<std::string> SoftLimit(const std::string& limits, std::string_view what) {
  std::istringstream lines(limits);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(what)) continue;
    const std::string_view rest = Trim(std::string_view(line).substr(what.size()));
    return std::string(rest.substr(0, rest.find(' ')));
  }
  return std::nullopt;
}

// A line of names and one of values, each after "IpExt:": the bytes of all network devices that this
// process' namespace sees, as Prometheus' client takes them.
std::optional<double> IpExt(const std::string& netstat, std::string_view name) {
  constexpr std::string_view kStart = "IpExt:";
  std::istringstream lines(netstat);
  std::string names, values;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(kStart)) continue;
    (names.empty() ? names : values) = line.substr(kStart.size());
  }
  const std::vector<std::string_view> head = Split(Trim(names), ' ');
  const std::vector<std::string_view> row = Split(Trim(values), ' ');
  for (size_t i = 0; i < head.size() && i < row.size(); ++i) {
    if (head[i] == name) return Number(row[i]);
  }
  return std::nullopt;
}

// Kernels from 6.2 on say how many there are; before, they have to be counted.
std::optional<double> OpenFds(const std::string& folder) {
  struct statfs fs = {};
  struct stat self = {};
  if (statfs(folder.c_str(), &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC &&
      stat(folder.c_str(), &self) == 0 && self.st_size > 0) {
    return static_cast<double>(self.st_size);
  }
  std::error_code error;
  std::filesystem::directory_iterator fds(folder, error);
  if (error) return std::nullopt;
  double open = 0;
  for (const std::filesystem::directory_iterator end; fds != end && !error; fds.increment(error)) {
    ++open;
  }
  return open;
}

// What a process says of itself. Thread-safe.
class Process {
 public:
  Process(std::string proc_root, bool network)
      : proc_root_(std::move(proc_root)), network_(network) {}

  void Collect(std::vector<MetricFamily>& out) VEDETTE_EXCLUDES(mu_) {
    MutexLock lock(mu_);
    AddStat(out);
    AddLimits(out);
    if (network_) AddNetwork(out);
    if (const auto open_fds = OpenFds(proc_root_ + "/self/fd")) {
      AppendOne(out, "process_open_fds", MetricType::kGauge, "Number of open file descriptors.",
                *open_fds);
    }
  }

 private:
  void AddStat(std::vector<MetricFamily>& out) VEDETTE_REQUIRES(mu_) {
    // Counted from the state field, which proc(5) numbers 3.
    constexpr size_t kUserTicks = 14 - 3, kSystemTicks = 15 - 3, kThreads = 20 - 3;
    constexpr size_t kStartTicks = 22 - 3, kVirtualBytes = 23 - 3, kResidentPages = 24 - 3;
    const std::string stat = ReadWhole(proc_root_ + "/self/stat");
    const std::vector<std::string_view> fields = StatFields(stat);
    if (fields.size() <= kResidentPages) return;
    const double ticks = double(sysconf(_SC_CLK_TCK));
    const auto field = [&](size_t i) { return Number(fields[i]).value_or(0); };
    AppendOne(out, "process_cpu_seconds_total", MetricType::kCounter,
              "Total user and system CPU time spent in seconds.",
              (field(kUserTicks) + field(kSystemTicks)) / ticks);
    AppendOne(out, "process_threads", MetricType::kGauge, "Number of threads.", field(kThreads));
    AppendOne(out, "process_virtual_memory_bytes", MetricType::kGauge,
              "Virtual memory size in bytes.", field(kVirtualBytes));
    AppendOne(out, "process_resident_memory_bytes", MetricType::kGauge,
              "Resident memory size in bytes.",
              field(kResidentPages) * double(sysconf(_SC_PAGESIZE)));
    // When the process began does not change, and /proc/stat is long.
    if (boot_seconds_ == 0) boot_seconds_ = BootSeconds(proc_root_).value_or(0);
    if (boot_seconds_ > 0) {
      AppendOne(out, "process_start_time_seconds", MetricType::kGauge,
                "Start time of the process since unix epoch in seconds.",
                boot_seconds_ + field(kStartTicks) / ticks);
    }
  }

  void AddLimits(std::vector<MetricFamily>& out) VEDETTE_REQUIRES(mu_) {
    // Sixteen lines, of which two are wanted, and which hardly ever change.
    constexpr int64_t kGoodNs = 60'000'000'000;
    const int64_t now = SystemClock().MonotonicNs();
    if (limits_.empty() || now - limits_ns_ > kGoodNs) {
      limits_ = ReadWhole(proc_root_ + "/self/limits");
      limits_ns_ = now;
    }
    if (const auto files = SoftLimit(limits_, "Max open files")) {
      if (const auto max_fds = Number(*files)) {
        AppendOne(out, "process_max_fds", MetricType::kGauge,
                  "Maximum number of open file descriptors.", *max_fds);
      }
    }
    if (const auto space = SoftLimit(limits_, "Max address space")) {
      // No limit is the largest number there is, as Prometheus' clients have it.
      const double bytes = Number(*space).value_or(18446744073709551615.0);
      AppendOne(out, "process_virtual_memory_max_bytes", MetricType::kGauge,
                "Maximum amount of virtual memory available in bytes.", bytes);
    }
  }

  void AddNetwork(std::vector<MetricFamily>& out) VEDETTE_REQUIRES(mu_) {
    const std::string netstat = ReadWhole(proc_root_ + "/self/net/netstat");
    if (const auto bytes = IpExt(netstat, "InOctets")) {
      AppendOne(out, "process_network_receive_bytes_total", MetricType::kCounter,
                "Bytes that the machine received by network, as the process sees it.", *bytes);
    }
    if (const auto bytes = IpExt(netstat, "OutOctets")) {
      AppendOne(out, "process_network_transmit_bytes_total", MetricType::kCounter,
                "Bytes that the machine sent by network, as the process sees it.", *bytes);
    }
  }

  const std::string proc_root_;
  const bool network_;
  Mutex mu_;
  double boot_seconds_ VEDETTE_GUARDED_BY(mu_) = 0;  // Not known yet: 0.
  std::string limits_ VEDETTE_GUARDED_BY(mu_);
  int64_t limits_ns_ VEDETTE_GUARDED_BY(mu_) = 0;
};

}  // namespace

void AddProcessMetrics(Registry& registry, std::string proc_root) {
  AddProcessMetrics(registry, std::move(proc_root), true);
}

void AddProcessMetrics(Registry& registry, std::string proc_root, bool network) {
  registry.AddCallback([process = std::make_shared<Process>(std::move(proc_root), network)](
                           std::vector<MetricFamily>& out) { process->Collect(out); });
}

void AddBuildInfo(Registry& registry, std::string_view prefix, std::string_view version) {
  registry
      .AddGaugeFamily(StrCat(prefix, "_build_info"),
                      "A constant 1, with what this program was built from as labels.",
                      {"version", "compiler"})
      .With({std::string(version), __VERSION__})
      .Set(1);
}

}  // namespace vedette::metrics
