#include "agent/host/memory.h"

#include <string>

#include "agent/host/files.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

// "Active(anon):     123 kB" becomes node_memory_Active_anon_bytes.
std::string MeminfoName(std::string_view key, bool kilobytes) {
  std::string name = "node_memory_";
  for (const char c : key) {
    if (c == '(') name += '_';
    if (c != '(' && c != ')') name += c;
  }
  if (kilobytes) name += "_bytes";
  return name;
}

Status CollectMeminfo(const HostOptions& options, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(options.procfs + "/meminfo"));
  ForEachLine(text, [&](std::string_view line) {
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return;
    const std::string_view key = line.substr(0, colon);
    const auto words = Words(line.substr(colon + 1));
    if (words.empty()) return;
    const bool kilobytes = words.size() > 1;
    const double value = Real(words[0]).value_or(0) * (kilobytes ? 1024 : 1);
    const std::string name = MeminfoName(key, kilobytes);
    const MetricType type = name.ends_with("_total") ? MetricType::kCounter : MetricType::kGauge;
    sink.Family(name, type,
                StrCat("Memory information field ", std::string_view(name).substr(12), "."));
    sink.Add({}, value);
  });
  return {};
}

Status CollectVmstat(const HostOptions& options, const Filter& fields, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(options.procfs + "/vmstat"));
  ForEachLine(text, [&](std::string_view line) {
    const auto words = Words(line);
    if (words.size() != 2 || !fields.Passes(words[0])) return;
    sink.Family(StrCat("node_vmstat_", words[0]), MetricType::kUnknown,
                StrCat("/proc/vmstat information field ", words[0], "."));
    sink.Add({}, Real(words[1]).value_or(0));
  });
  return {};
}

}  // namespace

void AddMemoryCollectors(const HostOptions& options, const Filter& vmstat_fields, Collectors& out) {
  Add(out, "meminfo", [options](MetricSink& s) { return CollectMeminfo(options, s); });
  Add(out, "vmstat",
      [options, vmstat_fields](MetricSink& s) { return CollectVmstat(options, vmstat_fields, s); });
}

}  // namespace vedette::agent
