#include <unistd.h>

#include <map>
#include <string>
#include <vector>

#include "agent/host/files.h"
#include "agent/host/network.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

using NetstatFields = std::vector<std::pair<std::string, double>>;

// /proc/net/netstat and snmp: a line of names and a line of values for each protocol.
Status ReadPairedLines(const std::string& path, NetstatFields& out) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  std::vector<std::string_view> names;
  ForEachLine(text, [&](std::string_view line) {
    const auto words = Words(line);
    if (words.empty()) return;
    if (names.empty() || names[0] != words[0] || names.size() != words.size()) {
      names = words;
      return;
    }
    const std::string_view protocol = words[0].substr(0, words[0].size() - 1);
    for (size_t i = 1; i < words.size(); ++i) {
      out.emplace_back(StrCat(protocol, "_", names[i]), Real(words[i]).value_or(0));
    }
    names.clear();
  });
  return {};
}

// /proc/net/snmp6: "Ip6InReceives 8": the protocol ends with the 6.
void ReadSnmp6(const std::string& path, NetstatFields& out) {
  const Result<std::string> text = ReadFile(path);
  if (!text.ok()) return;  // IPv6 is switched off.
  ForEachLine(*text, [&](std::string_view line) {
    const auto words = Words(line);
    const size_t six = words.empty() ? std::string_view::npos : words[0].find('6');
    if (words.size() < 2 || six == std::string_view::npos) return;
    out.emplace_back(StrCat(words[0].substr(0, six + 1), "_", words[0].substr(six + 1)),
                     Real(words[1]).value_or(0));
  });
}

Status CollectNetstat(const HostOptions& options, const Filter& fields, MetricSink& sink) {
  NetstatFields found;
  VEDETTE_RETURN_IF_ERROR(ReadPairedLines(options.procfs + "/net/netstat", found));
  VEDETTE_RETURN_IF_ERROR(ReadPairedLines(options.procfs + "/net/snmp", found));
  ReadSnmp6(options.procfs + "/net/snmp6", found);
  for (const auto& [name, value] : found) {
    if (!fields.Passes(name)) continue;
    const size_t underscore = name.find('_');
    const std::string_view text = name;
    sink.Family(StrCat("node_netstat_", name), MetricType::kUnknown,
                StrCat("Statistic ", text.substr(0, underscore), text.substr(underscore + 1), "."));
    sink.Add({}, value);
  }
  return {};
}

void AddSockstat(std::string_view text, MetricSink& sink) {
  ForEachLine(text, [&](std::string_view line) {
    const auto words = Words(line);
    if (words.size() < 3) return;
    const std::string_view protocol = words[0].substr(0, words[0].size() - 1);
    const auto add = [&](std::string_view field, double value) {
      sink.Gauge(StrCat("node_sockstat_", protocol, "_", field),
                 StrCat("Number of ", protocol, " sockets in state ", field, "."), value);
    };
    for (size_t i = 1; i + 1 < words.size(); i += 2) {
      const double value = Real(words[i + 1]).value_or(0);
      add(words[i], value);
      if (words[i] == "mem") add("mem_bytes", value * static_cast<double>(sysconf(_SC_PAGESIZE)));
    }
  });
}

Status CollectSockstat(const HostOptions& options, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string v4, ReadFile(options.procfs + "/net/sockstat"));
  AddSockstat(v4, sink);
  const Result<std::string> v6 = ReadFile(options.procfs + "/net/sockstat6");
  if (v6.ok()) AddSockstat(*v6, sink);
  return {};
}

// The fifth column is "tx:rx", in hexadecimal.
Status CollectUdpQueues(const HostOptions& options, MetricSink& sink) {
  struct Family {
    const char* file;
    const char* ip;
  };
  int found = 0;
  for (const Family f : {Family{"/net/udp", "v4"}, Family{"/net/udp6", "v6"}}) {
    const Result<std::string> text = ReadFile(options.procfs + f.file);
    if (!text.ok()) continue;
    ++found;
    uint64_t tx = 0;
    uint64_t rx = 0;
    ForEachLine(*text, [&](std::string_view line) {
      const auto words = Words(line);
      if (words.size() < 5) return;
      const size_t colon = words[4].find(':');
      if (colon == std::string_view::npos) return;
      tx += Number<uint64_t>(words[4].substr(0, colon), 16).value_or(0);
      rx += Number<uint64_t>(words[4].substr(colon + 1), 16).value_or(0);
    });
    sink.Family("node_udp_queues", MetricType::kGauge,
                "Number of allocated memory in the kernel for UDP datagrams in bytes.");
    sink.Add({{"queue", "tx"}, {"ip", f.ip}}, static_cast<double>(tx));
    sink.Add({{"queue", "rx"}, {"ip", f.ip}}, static_cast<double>(rx));
  }
  if (found == 0) return NotFound(StrCat(options.procfs, "/net/udp and udp6 are missing"));
  return {};
}

// A table with a line of names and a line of hexadecimal counters for each CPU.
Status CollectConntrack(const HostOptions& options, MetricSink& sink) {
  const std::string sys = options.procfs + "/sys/net/netfilter/nf_conntrack_";
  const auto entries = ReadNumber(sys + "count");
  const auto limit = ReadNumber(sys + "max");
  if (!entries || !limit) return NotFound("connection tracking is not loaded");
  sink.Gauge("node_nf_conntrack_entries",
             "Number of currently allocated flow entries for connection tracking.", *entries);
  sink.Gauge("node_nf_conntrack_entries_limit", "Maximum size of connection tracking table.",
             *limit);
  VEDETTE_ASSIGN_OR_RETURN(const std::string text,
                           ReadFile(options.procfs + "/net/stat/nf_conntrack"));
  std::vector<std::string_view> names;
  std::map<std::string_view, uint64_t> sums;
  ForEachLine(text, [&](std::string_view line) {
    const auto words = Words(line);
    if (names.empty()) {
      names = words;
      return;
    }
    for (size_t i = 0; i < words.size() && i < names.size(); ++i) {
      sums[names[i]] += Number<uint64_t>(words[i], 16).value_or(0);
    }
  });
  struct Counter {
    const char* name;
    const char* help;
  };
  static constexpr Counter kCounters[] = {
      {"found", "Number of searched entries which were successful."},
      {"invalid", "Number of packets seen which can not be tracked."},
      {"ignore", "Number of packets seen which are already connected to a conntrack entry."},
      {"insert", "Number of entries inserted into the list."},
      {"insert_failed", "Number of entries for which list insertion was attempted but failed."},
      {"drop", "Number of packets dropped due to conntrack failure."},
      {"early_drop",
       "Number of dropped conntrack entries to make room for new ones, if maximum table size was "
       "reached."},
      {"search_restart",
       "Number of conntrack table lookups which had to be restarted due to hashtable resizes."},
  };
  for (const Counter& c : kCounters) {
    sink.Gauge(StrCat("node_nf_conntrack_stat_", c.name), c.help,
               static_cast<double>(sums[c.name]));
  }
  return {};
}

Status CollectArp(const HostOptions& options, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(options.procfs + "/net/arp"));
  std::map<std::string_view, int> entries;
  bool header = true;
  ForEachLine(text, [&](std::string_view line) {
    const auto words = Words(line);
    if (!header && words.size() >= 6) ++entries[words[5]];
    header = false;
  });
  if (entries.empty()) return {};
  sink.Family("node_arp_entries", MetricType::kGauge, "ARP entries by device");
  for (const auto& [device, count] : entries) sink.Add({{"device", device}}, count);
  return {};
}

}  // namespace

void AddProtocolCollectors(const HostOptions& options, const Filter& netstat_fields,
                           Collectors& out) {
  Add(out, "netstat", [options, netstat_fields](MetricSink& s) {
    return CollectNetstat(options, netstat_fields, s);
  });
  Add(out, "sockstat", [options](MetricSink& s) { return CollectSockstat(options, s); });
  Add(out, "udp_queues", [options](MetricSink& s) { return CollectUdpQueues(options, s); });
  Add(out, "conntrack", [options](MetricSink& s) { return CollectConntrack(options, s); });
  Add(out, "arp", [options](MetricSink& s) { return CollectArp(options, s); });
}

}  // namespace vedette::agent
