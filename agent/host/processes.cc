#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/host/collector_groups.h"
#include "agent/host/files.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

bool IsNumber(std::string_view name) {
  return !name.empty() && name.find_first_not_of("0123456789") == std::string_view::npos;
}

// A line of /proc/PID/stat: the state and what follows it. The name before it stands in parentheses
// and may hold anything, even blanks and parentheses.
std::vector<std::string_view> AfterName(std::string_view stat) {
  const size_t end = stat.rfind(')');
  return end == std::string_view::npos ? std::vector<std::string_view>()
                                       : Words(Trim(stat.substr(end + 1)));
}

// Reads a line for each process, and for each thread of those that have several.
Status CollectProcesses(const Host& host, MetricSink& sink) {
  constexpr size_t kThreads = 17;  // num_threads, counted from the state.
  std::map<std::string, int, std::less<>> states;
  std::map<std::string, int, std::less<>> thread_states;
  double processes = 0;
  double threads = 0;
  for (const std::string& pid : ListDirectory(host.options.procfs)) {
    if (!IsNumber(pid)) continue;
    const std::string dir = host.Proc(pid);
    const Result<std::string> stat = ReadFile(dir + "/stat");
    if (!stat.ok()) continue;  // It ended meanwhile.
    const auto words = AfterName(*stat);
    if (words.size() <= kThreads) continue;
    ++processes;
    ++states[std::string(words[0])];
    threads += Real(words[kThreads]).value_or(0);
    const auto tids = ListDirectory(dir + "/task");
    if (tids.size() == 1) {
      ++thread_states[std::string(words[0])];
      continue;
    }
    for (const std::string& tid : tids) {
      const Result<std::string> one = ReadFile(StrCat(dir, "/task/", tid, "/stat"));
      if (!one.ok()) continue;
      const auto of_thread = AfterName(*one);
      if (!of_thread.empty()) ++thread_states[std::string(of_thread[0])];
    }
  }
  sink.Gauge("node_processes_threads", "Allocated threads in system", threads);
  const auto max_threads = ReadNumber(host.Proc("sys/kernel/threads-max"));
  const auto max_processes = ReadNumber(host.Proc("sys/kernel/pid_max"));
  if (!max_threads || !max_processes) {
    return NotFound(StrCat(host.Proc("sys/kernel/threads-max"), " or pid_max is missing"));
  }
  sink.Gauge("node_processes_max_threads", "Limit of threads in the system", *max_threads);
  sink.Family("node_processes_state", MetricType::kGauge, "Number of processes in each state.");
  for (const auto& [state, count] : states) sink.Add({{"state", state}}, count);
  sink.Family("node_processes_threads_state", MetricType::kGauge,
              "Number of threads in each state.");
  for (const auto& [state, count] : thread_states) sink.Add({{"thread_state", state}}, count);
  sink.Gauge("node_processes_pids", "Number of PIDs", processes);
  sink.Gauge("node_processes_max_processes", "Number of max PIDs limit", *max_processes);
  return {};
}

std::string SysctlFamily(std::string_view name) {
  std::string family = "node_sysctl_";
  for (const char c : name) {
    const bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    family += word ? c : '_';
  }
  return family;
}

// "fs.file-nr" or, with names for its columns, "fs.file-nr:total,current,max".
Status CollectOneSysctl(const Host& host, std::string_view wanted, bool as_info,
                        MetricSink& sink) {
  const size_t colon = wanted.find(':');
  const std::string_view name = wanted.substr(0, colon);
  std::string path = "sys/";
  for (const char c : name) path += c == '.' ? '/' : c;
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(host.Proc(path)));
  std::vector<std::string_view> values;
  ForEachLine(text, [&](std::string_view line) {
    for (const std::string_view word : Words(line)) values.push_back(word);
  });
  if (as_info) {
    sink.Family("node_sysctl_info", MetricType::kGauge, "sysctl metric");
    for (size_t i = 0; i < values.size(); ++i) {
      sink.Add({{"name", name}, {"value", values[i]}, {"index", StrCat(i)}}, 1);
    }
    return {};
  }
  const auto names = colon == std::string_view::npos ? std::vector<std::string_view>()
                                                     : Split(wanted.substr(colon + 1), ',');
  if (!names.empty() && names.size() != values.size()) {
    return InvalidArgument(StrCat("--collector.sysctl.include=", wanted, " names ", names.size(),
                                  " columns, ", host.Proc(path), " has ", values.size()));
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const auto value = Number<int64_t>(values[i]);
    if (!value) {
      return InvalidArgument(StrCat("--collector.sysctl.include=", wanted, ": ", Quoted(values[i]),
                                    " is no number; --collector.sysctl.include-info shows text"));
    }
    const std::string family =
        names.empty() ? SysctlFamily(name) : StrCat(SysctlFamily(name), "_", names[i]);
    sink.Family(family, MetricType::kUnknown, StrCat("sysctl ", name));
    if (!names.empty() || values.size() == 1) {
      sink.Add({}, static_cast<double>(*value));
    } else {
      sink.Add({{"index", StrCat(i)}}, static_cast<double>(*value));
    }
  }
  return {};
}

Status CollectSysctl(const Host& host, MetricSink& sink) {
  for (const std::string& wanted : host.options.sysctl_include) {
    VEDETTE_RETURN_IF_ERROR(CollectOneSysctl(host, wanted, false, sink));
  }
  for (const std::string& wanted : host.options.sysctl_include_info) {
    VEDETTE_RETURN_IF_ERROR(CollectOneSysctl(host, wanted, true, sink));
  }
  return {};
}

}  // namespace

void AddProcessCollectors(const HostPtr& host, Collectors& out) {
  Add(out, {"processes", "/proc/*/stat, /proc/*/task", kOff}, host, CollectProcesses);
  Add(out, {"sysctl", "/proc/sys, what --collector.sysctl.include names", kOff}, host,
      CollectSysctl);
}

}  // namespace vedette::agent
