#include <arpa/inet.h>
#include <unistd.h>

#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/host/collector_groups.h"
#include "agent/host/files.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

// The counters of the network's protocols. There are hundreds, a dozen or two are wanted, and the
// kernel always names them in the same order: which ones are wanted is found out once, and again when
// a line of names is not what it was.
class Netstat {
 public:
  explicit Netstat(HostPtr host) : host_(std::move(host)) {}

  Status Collect(MetricSink& sink) {
    VEDETTE_RETURN_IF_ERROR(AddPairedLines(host_->Proc("net/netstat"), netstat_, sink));
    VEDETTE_RETURN_IF_ERROR(AddPairedLines(host_->Proc("net/snmp"), snmp_, sink));
    AddSnmp6(sink);
    return {};
  }

 private:
  struct Field {
    size_t word = 0;
    std::string family, help;
  };
  // A line of names, and the wanted ones of them.
  struct Layout {
    std::string names;
    size_t words = 0;
    std::vector<Field> wanted;
  };

  Field FieldOf(size_t word, std::string_view protocol, std::string_view name) const {
    return {word, StrCat("node_netstat_", protocol, "_", name),
            StrCat("Statistic ", protocol, name, ".")};
  }

  // /proc/net/netstat and snmp: a line of names and a line of values for each protocol.
  Status AddPairedLines(const std::string& path, std::vector<Layout>& layouts, MetricSink& sink) {
    VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
    std::string_view names;
    size_t pair = 0;
    ForEachLine(text, [&](std::string_view line) {
      const std::string_view protocol = line.substr(0, line.find(':') + 1);
      if (protocol.empty()) return;
      if (!names.starts_with(protocol)) {
        names = line;
        return;
      }
      if (layouts.size() <= pair) layouts.emplace_back();
      Layout& layout = layouts[pair++];
      if (layout.names != names) layout = LayoutOf(names);
      names = {};
      const auto words = Words(line);
      if (words.size() != layout.words) return;
      for (const Field& f : layout.wanted) {
        sink.Family(f.family, MetricType::kUnknown, f.help);
        sink.Add({}, Real(words[f.word]).value_or(0));
      }
    });
    return {};
  }

  Layout LayoutOf(std::string_view names) const {
    const auto words = Words(names);
    Layout layout{.names = std::string(names), .words = words.size()};
    const std::string_view protocol = words[0].substr(0, words[0].size() - 1);
    for (size_t i = 1; i < words.size(); ++i) {
      if (!host_->netstat.Passes(StrCat(protocol, "_", words[i]))) continue;
      layout.wanted.push_back(FieldOf(i, protocol, words[i]));
    }
    return layout;
  }

  // /proc/net/snmp6: "Ip6InReceives 8": the protocol ends with the 6.
  void AddSnmp6(MetricSink& sink) {
    const Result<std::string> text = ReadFile(host_->Proc("net/snmp6"));
    if (!text.ok()) return;  // IPv6 is switched off.
    size_t row = 0;
    ForEachLine(*text, [&](std::string_view line) {
      const std::string_view key = line.substr(0, line.find_first_of(" \t"));
      if (snmp6_.size() <= row) snmp6_.emplace_back();
      Layout& layout = snmp6_[row++];
      if (layout.names != key) {
        layout = {.names = std::string(key)};
        const size_t six = key.find('6');
        const bool wanted =
            six != std::string_view::npos &&
            host_->netstat.Passes(StrCat(key.substr(0, six + 1), "_", key.substr(six + 1)));
        if (wanted) {
          layout.wanted.push_back(FieldOf(1, key.substr(0, six + 1), key.substr(six + 1)));
        }
      }
      if (layout.wanted.empty() || key.size() == line.size()) return;
      sink.Family(layout.wanted[0].family, MetricType::kUnknown, layout.wanted[0].help);
      sink.Add({}, Real(Trim(line.substr(key.size()))).value_or(0));
    });
  }

  const HostPtr host_;
  std::vector<Layout> netstat_, snmp_;
  std::vector<Layout> snmp6_;  // By line.
};

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

Status CollectSockstat(const Host& host, MetricSink& sink) {
  // A kernel without IPv6 has no sockstat6, and one without IPv4 no sockstat.
  for (const char* file : {"net/sockstat", "net/sockstat6"}) {
    const Result<std::string> text = ReadFile(host.Proc(file));
    if (text.ok()) AddSockstat(*text, sink);
  }
  return {};
}

// The fifth column is "tx:rx", in hexadecimal.
Status CollectUdpQueues(const Host& host, MetricSink& sink) {
  struct Family {
    const char* file;
    const char* ip;
  };
  int found = 0;
  for (const Family f : {Family{"net/udp", "v4"}, Family{"net/udp6", "v6"}}) {
    const Result<std::string> text = ReadFile(host.Proc(f.file));
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
  if (found == 0) return NotFound(StrCat(host.Proc("net/udp"), " and udp6 are missing"));
  return {};
}

// A table with a line of names and a line of hexadecimal counters for each CPU.
Status CollectConntrack(const Host& host, MetricSink& sink) {
  const std::string sys = host.Proc("sys/net/netfilter/nf_conntrack_");
  const auto entries = ReadNumber(sys + "count");
  const auto limit = ReadNumber(sys + "max");
  if (!entries || !limit) return NotFound("connection tracking is not loaded");
  sink.Gauge("node_nf_conntrack_entries",
             "Number of currently allocated flow entries for connection tracking.", *entries);
  sink.Gauge("node_nf_conntrack_entries_limit", "Maximum size of connection tracking table.",
             *limit);
  VEDETTE_ASSIGN_OR_RETURN(const std::string text,
                           ReadFile(host.Proc("net/stat/nf_conntrack")));
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

// A table a protocol with a line of names and a line of hexadecimal counters for each CPU.
Status CollectLnstat(const Host& host, MetricSink& sink) {
  const std::string dir = host.Proc("net/stat");
  for (const std::string& subsystem : ListDirectory(dir)) {
    VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(StrCat(dir, "/", subsystem)));
    std::vector<std::string_view> names;
    size_t cpu = 0;
    ForEachLine(text, [&](std::string_view line) {
      const auto words = Words(line);
      if (names.empty()) {
        names = words;
        return;
      }
      const std::string index = StrCat(cpu++);
      for (size_t i = 0; i < words.size() && i < names.size(); ++i) {
        sink.Family(StrCat("node_lnstat_", names[i], "_total"), MetricType::kCounter,
                    "linux network cache stats");
        sink.Add({{"subsystem", subsystem}, {"cpu", index}},
                 static_cast<double>(Number<uint64_t>(words[i], 16).value_or(0)));
      }
    });
  }
  return {};
}

// "XfrmInNoPols 12": what IPsec refused, and why. The name becomes in_no_pols.
Status CollectXfrm(const Host& host, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(host.Proc("net/xfrm_stat")));
  ForEachLine(text, [&](std::string_view line) {
    const auto words = Words(line);
    if (words.size() != 2 || !words[0].starts_with("Xfrm")) return;
    std::string snake;
    for (const char c : words[0].substr(4)) {
      if (c >= 'A' && c <= 'Z') {
        if (!snake.empty()) snake += '_';
        snake += static_cast<char>(c - 'A' + 'a');
      } else {
        snake += c;
      }
    }
    sink.Counter(StrCat("node_xfrm_", snake, "_packets_total"),
                 StrCat("Packets that IPsec counted as ", words[0], "."),
                 Real(words[1]).value_or(0));
  });
  return {};
}

// "C0A80016:0CEA" or "[2620...]:0050": an address in hexadecimal and a port.
struct IpvsEndpoint {
  std::string address, port;
};

std::optional<IpvsEndpoint> ParseIpvsEndpoint(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto port = Number<uint16_t>(text.substr(colon + 1), 16);
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  std::string hex;
  for (const char c : host) {
    if (c != ':') hex += c;
  }
  if (!port || (hex.size() != 8 && hex.size() != 32)) return std::nullopt;
  unsigned char bytes[16] = {};
  for (size_t i = 0; i < hex.size() / 2; ++i) {
    const auto byte = Number<uint8_t>(std::string_view(hex).substr(i * 2, 2), 16);
    if (!byte) return std::nullopt;
    bytes[i] = *byte;
  }
  char name[INET6_ADDRSTRLEN] = {};
  inet_ntop(hex.size() == 8 ? AF_INET : AF_INET6, bytes, name, sizeof name);
  return IpvsEndpoint{name, StrCat(*port)};
}

// The third line of ip_vs_stats has the totals, in hexadecimal.
Status CollectIpvsTotals(const Host& host, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(host.Proc("net/ip_vs_stats")));
  const auto lines = Split(text, '\n');
  const auto words = lines.size() < 3 ? std::vector<std::string_view>() : Words(lines[2]);
  if (words.size() < 5) return DataLoss(host.Proc("net/ip_vs_stats has not its five totals"));
  static constexpr std::pair<const char*, const char*> kTotals[] = {
      {"node_ipvs_connections_total", "The total number of connections made."},
      {"node_ipvs_incoming_packets_total", "The total number of incoming packets."},
      {"node_ipvs_outgoing_packets_total", "The total number of outgoing packets."},
      {"node_ipvs_incoming_bytes_total", "The total amount of incoming data."},
      {"node_ipvs_outgoing_bytes_total", "The total amount of outgoing data."},
  };
  for (size_t i = 0; i < std::size(kTotals); ++i) {
    sink.Counter(kTotals[i].first, kTotals[i].second,
                 static_cast<double>(Number<uint64_t>(words[i], 16).value_or(0)));
  }
  return {};
}

// Virtual services, and below each its backends ("->"). The labels that are wanted decide which
// backends are told apart; those that look alike are added up.
Status CollectIpvs(const Host& host, MetricSink& sink) {
  VEDETTE_RETURN_IF_ERROR(CollectIpvsTotals(host, sink));
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(host.Proc("net/ip_vs")));
  struct Backends {
    double active = 0, inactive = 0, weight = 0;
  };
  std::map<std::vector<std::string>, Backends> found;
  const auto wanted = Split(host.options.ipvs_backend_labels, ',');
  std::map<std::string, std::string, std::less<>> labels;
  bool inside = false;
  ForEachLine(text, [&](std::string_view line) {
    const auto words = Words(line);
    if (words.size() < 2) return;
    if (words[0] == "TCP" || words[0] == "UDP" || words[0] == "SCTP") {
      const auto local = ParseIpvsEndpoint(words[1]);
      inside = local.has_value();
      if (!inside) return;
      labels["proto"] = words[0];
      labels["local_address"] = local->address;
      labels["local_port"] = local->port;
      labels["local_mark"] = "";
    } else if (words[0] == "FWM") {
      inside = true;
      labels["proto"] = words[0];
      labels["local_address"] = "";
      labels["local_port"] = "0";
      labels["local_mark"] = words[1];
    } else if (words[0] == "->" && words.size() >= 6 && inside) {
      const auto remote = ParseIpvsEndpoint(words[1]);
      if (!remote) return;
      labels["remote_address"] = remote->address;
      labels["remote_port"] = remote->port;
      std::vector<std::string> key;
      for (const std::string_view label : wanted) {
        const auto at = labels.find(Trim(label));
        if (at != labels.end()) key.push_back(at->second);
      }
      Backends& b = found[key];
      b.weight += Real(words[3]).value_or(0);
      b.active += Real(words[4]).value_or(0);
      b.inactive += Real(words[5]).value_or(0);
    }
  });
  const auto add = [&](const char* name, const char* help, double Backends::* value) {
    sink.Family(name, MetricType::kGauge, help);
    for (const auto& [key, backends] : found) {
      std::vector<Label> set;
      size_t i = 0;
      for (const std::string_view label : wanted) {
        if (labels.contains(Trim(label)) && i < key.size()) set.push_back({Trim(label), key[i++]});
      }
      sink.Add(set, backends.*value);
    }
  };
  add("node_ipvs_backend_connections_active", "The current active connections by local and remote "
      "address.", &Backends::active);
  add("node_ipvs_backend_connections_inactive", "The current inactive connections by local and "
      "remote address.", &Backends::inactive);
  add("node_ipvs_backend_weight", "The current backend weight by local and remote address.",
      &Backends::weight);
  return {};
}

}  // namespace

void AddProtocolCollectors(const HostPtr& host, Collectors& out) {
  Add(out, {"netstat", "/proc/net/{netstat,snmp,snmp6}"},
      [netstat = std::make_shared<Netstat>(host)](MetricSink& sink) {
        return netstat->Collect(sink);
      });
  Add(out, {"sockstat", "/proc/net/{sockstat,sockstat6}"}, host, CollectSockstat);
  Add(out, {"udp_queues", "/proc/net/{udp,udp6}"}, host, CollectUdpQueues);
  Add(out, {"conntrack", "/proc/sys/net/netfilter, /proc/net/stat/nf_conntrack"}, host,
      CollectConntrack);
  Add(out, {"ipvs", "/proc/net/{ip_vs,ip_vs_stats}"}, host, CollectIpvs);
  Add(out, {"lnstat", "/proc/net/stat/*", kOff}, host, CollectLnstat);
  Add(out, {"xfrm", "/proc/net/xfrm_stat", kOff}, host, CollectXfrm);
}

}  // namespace vedette::agent
