#include <sys/timex.h>
#include <sys/utsname.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "agent/host/collector_groups.h"
#include "agent/host/files.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

Status CollectUname(MetricSink& sink) {
  utsname u = {};
  if (uname(&u) != 0) return Internal(StrCat("uname: ", std::strerror(errno)));
  sink.Family("node_uname_info", MetricType::kGauge,
              "Labeled system information as provided by the uname system call.");
  sink.Add({{"sysname", u.sysname},
            {"release", u.release},
            {"version", u.version},
            {"machine", u.machine},
            {"nodename", u.nodename},
            {"domainname", u.domainname}},
           1);
  return {};
}

// What os-release says, and of which file that is.
struct OsRelease {
  std::string path;
  FileStamp stamp;
  std::map<std::string, std::string, std::less<>> values;
};

// os-release(5): KEY=value lines as a shell would read them.
Status ReadOs(const Host& host, OsRelease& os) {
  for (const char* file : {"etc/os-release", "usr/lib/os-release"}) {
    const std::string path = host.Root(file);
    const std::optional<FileStamp> stamp = FileStamp::Of(path);
    if (!stamp) continue;
    if (os.path == path && os.stamp == *stamp) return {};
    const Result<std::string> text = ReadFile(path);
    if (!text.ok()) continue;
    os = {path, *stamp, {}};
    ForEachLine(*text, [&](std::string_view line) {
      const size_t equals = line.find('=');
      if (equals == std::string_view::npos || line.starts_with('#')) return;
      std::string_view value = Trim(line.substr(equals + 1));
      if (value.size() >= 2 && (value[0] == '"' || value[0] == '\'') && value.back() == value[0]) {
        value = value.substr(1, value.size() - 2);
      }
      os.values[std::string(Trim(line.substr(0, equals)))] = value;
    });
    return {};
  }
  os = {};
  return NotFound(StrCat(host.Root("etc/os-release"), " and usr/lib/os-release are missing"));
}

Status CollectOs(const Host& host, OsRelease& kept, MetricSink& sink) {
  VEDETTE_RETURN_IF_ERROR(ReadOs(host, kept));
  auto& os = kept.values;
  sink.Family("node_os_info", MetricType::kGauge,
              "A metric with a constant '1' value labeled by what os-release says of the system.");
  sink.Add({{"build_id", os["BUILD_ID"]},
            {"id", os["ID"]},
            {"id_like", os["ID_LIKE"]},
            {"image_id", os["IMAGE_ID"]},
            {"image_version", os["IMAGE_VERSION"]},
            {"name", os["NAME"]},
            {"pretty_name", os["PRETTY_NAME"]},
            {"variant", os["VARIANT"]},
            {"variant_id", os["VARIANT_ID"]},
            {"version", os["VERSION"]},
            {"version_codename", os["VERSION_CODENAME"]},
            {"version_id", os["VERSION_ID"]}},
           1);
  if (const auto version = Real(os["VERSION_ID"])) {
    sink.Family("node_os_version", MetricType::kGauge,
                "Metric containing the major.minor part of the OS version.");
    sink.Add({{"id", os["ID"]}, {"id_like", os["ID_LIKE"]}, {"name", os["NAME"]}}, *version);
  }
  return {};
}

Status CollectTime(const Host& host, MetricSink& sink) {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  std::tm local = {};
  localtime_r(&seconds, &local);
  sink.Gauge("node_time_seconds", "System time in seconds since epoch (1970).",
             std::chrono::duration<double>(now.time_since_epoch()).count());
  sink.Family("node_time_zone_offset_seconds", MetricType::kGauge,
              "System time zone offset in seconds.");
  sink.Add({{"time_zone", local.tm_zone}}, static_cast<double>(local.tm_gmtoff));
  const std::string root = host.Sys("devices/system/clocksource");
  for (const std::string& device : ListDirectory(root)) {
    if (!device.starts_with("clocksource")) continue;
    const std::string index = device.substr(11);
    const std::string dir = StrCat(root, "/", device, "/");
    const std::string available = ReadAttribute(dir + "available_clocksource").value_or("");
    for (std::string_view source : Words(available)) {
      sink.Family("node_time_clocksource_available_info", MetricType::kGauge,
                  "Available clocksources read from '/sys/devices/system/clocksource'.");
      sink.Add({{"device", index}, {"clocksource", source}}, 1);
    }
    if (const auto current = ReadAttribute(dir + "current_clocksource")) {
      sink.Family("node_time_clocksource_current_info", MetricType::kGauge,
                  "Current clocksource read from '/sys/devices/system/clocksource'.");
      sink.Add({{"device", index}, {"clocksource", *current}}, 1);
    }
  }
  return {};
}

Status CollectTimex(MetricSink& sink) {
  timex t = {};
  const int state = adjtimex(&t);
  if (state < 0) return Unavailable(StrCat("adjtimex: ", std::strerror(errno)));
  // adjtimex(2): microseconds, or nanoseconds with STA_NANO; frequencies in 2^-16 parts per
  // million.
  const double divisor = (t.status & STA_NANO) != 0 ? 1e9 : 1e6;
  constexpr double kPpm16 = 1e6 * 65536;
  constexpr double kMicro = 1e6;
  const auto real = [](auto v) { return static_cast<double>(v); };
  sink.Gauge("node_timex_sync_status",
             "Is clock synchronized to a reliable server (1 = yes, 0 = no).",
             state == TIME_ERROR ? 0 : 1);
  sink.Gauge("node_timex_offset_seconds",
             "Time offset in between local system and reference clock.", real(t.offset) / divisor);
  sink.Gauge("node_timex_frequency_adjustment_ratio", "Local clock frequency adjustment.",
             1 + real(t.freq) / kPpm16);
  sink.Gauge("node_timex_maxerror_seconds", "Maximum error in seconds.", real(t.maxerror) / kMicro);
  sink.Gauge("node_timex_estimated_error_seconds", "Estimated error in seconds.",
             real(t.esterror) / kMicro);
  sink.Gauge("node_timex_status", "Value of the status array bits.", t.status);
  sink.Gauge("node_timex_loop_time_constant", "Phase-locked loop time constant.", real(t.constant));
  sink.Gauge("node_timex_tick_seconds", "Seconds between clock ticks.", real(t.tick) / kMicro);
  sink.Gauge("node_timex_pps_frequency_hertz", "Pulse per second frequency.",
             real(t.ppsfreq) / kPpm16);
  sink.Gauge("node_timex_pps_jitter_seconds", "Pulse per second jitter.", real(t.jitter) / divisor);
  sink.Gauge("node_timex_pps_shift_seconds", "Pulse per second interval duration.", t.shift);
  sink.Gauge("node_timex_pps_stability_hertz",
             "Pulse per second stability, average of recent frequency changes.",
             real(t.stabil) / kPpm16);
  sink.Counter("node_timex_pps_jitter_total",
               "Pulse per second count of jitter limit exceeded events.", real(t.jitcnt));
  sink.Counter("node_timex_pps_calibration_total",
               "Pulse per second count of calibration intervals.", real(t.calcnt));
  sink.Counter("node_timex_pps_error_total", "Pulse per second count of calibration errors.",
               real(t.errcnt));
  sink.Counter("node_timex_pps_stability_exceeded_total",
               "Pulse per second count of stability limit exceeded events.", real(t.stbcnt));
  sink.Gauge("node_timex_tai_offset_seconds", "International Atomic Time (TAI) offset.", t.tai);
  return {};
}

// "allocated unused maximum"
Status CollectFilefd(const Host& host, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(host.Proc("sys/fs/file-nr")));
  const auto words = Words(Trim(text));
  if (words.size() < 3) return DataLoss(host.Proc("sys/fs/file-nr has not three numbers"));
  sink.Gauge("node_filefd_allocated", "File descriptor statistics: allocated.",
             Real(words[0]).value_or(0));
  sink.Gauge("node_filefd_maximum", "File descriptor statistics: maximum.",
             Real(words[2]).value_or(0));
  return {};
}

Status CollectEntropy(const Host& host, MetricSink& sink) {
  const std::string dir = host.Proc("sys/kernel/random/");
  const auto available = ReadNumber(dir + "entropy_avail");
  const auto pool = ReadNumber(dir + "poolsize");
  if (!available || !pool) return NotFound(dir + "entropy_avail or poolsize is missing");
  sink.Gauge("node_entropy_available_bits", "Bits of available entropy.", *available);
  sink.Gauge("node_entropy_pool_size_bits", "Bits of entropy pool.", *pool);
  return {};
}

Status CollectSelinux(const Host& host, MetricSink& sink) {
  const auto enforcing = ReadNumber(host.Sys("fs/selinux/enforce"));
  sink.Gauge("node_selinux_enabled", "SELinux is enabled, 1 is true, 0 is false",
             enforcing ? 1 : 0);
  if (enforcing) {
    sink.Gauge("node_selinux_current_mode", "Current SELinux enforcement mode", *enforcing);
  }
  return {};
}

// "cpuset 5 47 1": a controller, its hierarchy, how many groups, whether it is enabled.
Status CollectCgroups(const Host& host, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(host.Proc("cgroups")));
  ForEachLine(text, [&](std::string_view line) {
    const auto words = Words(line);
    if (words.size() < 4 || line.starts_with('#')) return;
    sink.Family("node_cgroups_cgroups", MetricType::kGauge,
                "Current cgroup number of the subsystem.");
    sink.Add({{"subsys_name", words[0]}}, Real(words[2]).value_or(0));
    sink.Family("node_cgroups_enabled", MetricType::kGauge,
                "Current cgroup number of the subsystem.");
    sink.Add({{"subsys_name", words[0]}}, Real(words[3]).value_or(0));
  });
  return {};
}

Status CollectKernelHung(const Host& host, MetricSink& sink) {
  const auto count = ReadNumber(host.Proc("sys/kernel/hung_task_detect_count"));
  if (!count) return NotFound("this kernel does not count hung tasks");
  sink.Counter("node_kernel_hung_task_detect_count",
               "Total number of tasks that have been detected as hung", *count);
  return {};
}

}  // namespace

void AddSystemCollectors(const HostPtr& host, Collectors& out) {
  Add(out, {"uname", "uname(2)"}, [](MetricSink& s) { return CollectUname(s); });
  Add(out, {"os", "/etc/os-release or /usr/lib/os-release"},
      [host, kept = std::make_shared<OsRelease>()](MetricSink& sink) {
        return CollectOs(*host, *kept, sink);
      });
  Add(out, {"time", "the clock, /sys/devices/system/clocksource"}, host, CollectTime);
  Add(out, {"timex", "adjtimex(2)"}, [](MetricSink& s) { return CollectTimex(s); });
  Add(out, {"filefd", "/proc/sys/fs/file-nr"}, host, CollectFilefd);
  Add(out, {"entropy", "/proc/sys/kernel/random"}, host, CollectEntropy);
  Add(out, {"selinux", "/sys/fs/selinux"}, host, CollectSelinux);
  Add(out, {"kernel_hung", "/proc/sys/kernel/hung_task_detect_count"}, host, CollectKernelHung);
  Add(out, {"cgroups", "/proc/cgroups", kOff}, host, CollectCgroups);
}

}  // namespace vedette::agent
