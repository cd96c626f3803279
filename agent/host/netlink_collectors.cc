#include <arpa/inet.h>
#include <linux/gen_stats.h>
#include <linux/inet_diag.h>
#include <linux/neighbour.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "agent/host/collector_groups.h"
#include "agent/host/files.h"
#include "agent/host/netlink.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

template <typename Body>
struct Request {
  nlmsghdr header;
  Body body;
};

template <typename Body>
Request<Body> DumpRequest(uint16_t type) {
  Request<Body> request = {};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = type;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  return request;
}

std::string_view Find(const NetlinkAttributes& attributes, uint16_t type) {
  const auto at = attributes.find(type);
  return at == attributes.end() ? std::string_view() : at->second;
}

// A bond's slaves, and those of them whose link is up.
Status CollectBonding(const Host& host, MetricSink& sink) {
  const std::string root = host.Sys("class/net/");
  VEDETTE_ASSIGN_OR_RETURN(const std::string masters, ReadFile(root + "bonding_masters"));
  for (const std::string_view master : Words(Trim(masters))) {
    const std::string dir = StrCat(root, master, "/");
    const std::string slaves = ReadAttribute(dir + "bonding/slaves").value_or("");
    int all = 0;
    int active = 0;
    for (const std::string_view slave : Words(slaves)) {
      ++all;
      auto status = ReadAttribute(StrCat(dir, "lower_", slave, "/bonding_slave/mii_status"));
      // Kernels before 3.18 call it so.
      if (!status) status = ReadAttribute(StrCat(dir, "slave_", slave, "/bonding_slave/mii_status"));
      active += status == "up";
    }
    sink.Family("node_bonding_slaves", MetricType::kGauge,
                "Number of configured slaves per bonding interface.");
    sink.Add({{"master", master}}, all);
    sink.Family("node_bonding_active", MetricType::kGauge,
                "Number of active slaves per bonding interface.");
    sink.Add({{"master", master}}, active);
  }
  return {};
}

std::string_view RouteProtocol(uint8_t protocol) {
  switch (protocol) {
    case RTPROT_UNSPEC: return "unspec";
    case RTPROT_REDIRECT: return "redirect";
    case RTPROT_KERNEL: return "kernel";
    case RTPROT_BOOT: return "boot";
    case RTPROT_STATIC: return "static";
    case RTPROT_GATED: return "gated";
    case RTPROT_RA: return "ra";
    case RTPROT_MRT: return "mrt";
    case RTPROT_ZEBRA: return "zebra";
    case RTPROT_BIRD: return "bird";
    case RTPROT_DNROUTED: return "dnrouted";
    case RTPROT_XORP: return "xorp";
    case RTPROT_NTK: return "ntk";
    case RTPROT_DHCP: return "dhcp";
    case RTPROT_MROUTED: return "mrouted";
    case RTPROT_KEEPALIVED: return "keepalived";
    case RTPROT_BABEL: return "babel";
    case RTPROT_BGP: return "bgp";
    case RTPROT_ISIS: return "isis";
    case RTPROT_OSPF: return "ospf";
    case RTPROT_RIP: return "rip";
    case RTPROT_EIGRP: return "eigrp";
    default: return "unknown";
  }
}

std::string Address(std::string_view bytes) {
  char text[INET6_ADDRSTRLEN] = {};
  if (bytes.size() != 4 && bytes.size() != 16) return {};
  inet_ntop(bytes.size() == 4 ? AF_INET : AF_INET6, bytes.data(), text, sizeof text);
  return text;
}

struct Routes {
  std::map<int, std::string> devices;
  std::map<std::string, int> by_device;

  void Add(int device, const rtmsg& route, const NetlinkAttributes& a, std::string_view gateway,
           std::string_view weight, MetricSink& sink) {
    const std::string& name = devices[device];
    const std::string destination =
        route.rtm_dst_len == 0
            ? "default"
            : StrCat(Address(Find(a, RTA_DST)), "/", static_cast<int>(route.rtm_dst_len));
    sink.Family("node_network_route_info", MetricType::kGauge,
                "network routing table information");
    sink.Add({{"device", name},
              {"src", Address(Find(a, RTA_PREFSRC))},
              {"dest", destination},
              {"gw", Address(gateway)},
              {"priority", StrCat(Value<uint32_t>(Find(a, RTA_PRIORITY)))},
              {"proto", RouteProtocol(route.rtm_protocol)},
              {"weight", weight}},
             1);
    ++by_device[name];
  }
};

Status CollectRoutes(const Host&, MetricSink& sink) {
  Routes routes;
  VEDETTE_ASSIGN_OR_RETURN(routes.devices, DeviceNames());
  const auto request = DumpRequest<rtmsg>(RTM_GETROUTE);
  VEDETTE_RETURN_IF_ERROR(NetlinkDump(NETLINK_ROUTE, &request, [&](const nlmsghdr& m) {
    const auto* route = BodyOf<rtmsg>(m);
    if (m.nlmsg_type != RTM_NEWROUTE || route == nullptr || route->rtm_type != RTN_UNICAST) return;
    const NetlinkAttributes a = AttributesOf(m, sizeof *route);
    std::string_view hops = Find(a, RTA_MULTIPATH);
    if (hops.empty()) {
      routes.Add(Value<int>(Find(a, RTA_OIF)), *route, a, Find(a, RTA_GATEWAY), "", sink);
      return;
    }
    while (hops.size() >= sizeof(rtnexthop)) {
      const auto hop = Value<rtnexthop>(hops);
      if (hop.rtnh_len < sizeof hop || hop.rtnh_len > hops.size()) break;
      const NetlinkAttributes of_hop =
          AttributesOf(hops.substr(sizeof hop, hop.rtnh_len - sizeof hop));
      routes.Add(hop.rtnh_ifindex, *route, a, Find(of_hop, RTA_GATEWAY),
                 StrCat(hop.rtnh_hops + 1), sink);
      hops.remove_prefix(std::min<size_t>(RTNH_ALIGN(hop.rtnh_len), hops.size()));
    }
  }));
  for (const auto& [device, count] : routes.by_device) {
    sink.Family("node_network_routes", MetricType::kGauge,
                "network routes by interface");
    sink.Add({{"device", device}}, count);
  }
  return {};
}

struct Qdisc {
  std::string device, kind;
  double bytes = 0, packets = 0, drops = 0, requeues = 0, overlimits = 0, length = 0, backlog = 0;
};

void AddQdisc(const Host& host, const Qdisc& q, MetricSink& sink) {
  if (!host.qdisc.Passes(q.device)) return;
  const auto add = [&](const char* name, MetricType type, const char* help, double value) {
    sink.Family(name, type, help);
    sink.Add({{"device", q.device}, {"kind", q.kind}}, value);
  };
  using enum MetricType;
  add("node_qdisc_bytes_total", kCounter, "Number of bytes sent.", q.bytes);
  add("node_qdisc_packets_total", kCounter, "Number of packets sent.", q.packets);
  add("node_qdisc_drops_total", kCounter, "Number of packets dropped.", q.drops);
  add("node_qdisc_requeues_total", kCounter,
      "Number of packets dequeued, not transmitted, and requeued.", q.requeues);
  add("node_qdisc_overlimits_total", kCounter, "Number of overlimit packets.", q.overlimits);
  add("node_qdisc_current_queue_length", kGauge,
      "Number of packets currently in queue to be sent.", q.length);
  add("node_qdisc_backlog", kGauge, "Number of bytes currently in queue to be sent.", q.backlog);
}

// Recorded queues instead of the kernel's, as --collector.qdisc.fixtures names them.
Status CollectRecordedQdiscs(const Host& host, MetricSink& sink) {
  const std::string path = StrCat(host.options.qdisc_fixtures, "/results.json");
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_array()) return DataLoss(StrCat(path, " is not a JSON array"));
  for (const auto& one : json) {
    const auto number = [&](const char* key) { return one.value(key, 0.0); };
    AddQdisc(host,
             {.device = one.value("IfaceName", ""),
              .kind = one.value("Kind", ""),
              .bytes = number("Bytes"),
              .packets = number("Packets"),
              .drops = number("Drops"),
              .requeues = number("Requeues"),
              .overlimits = number("Overlimits"),
              .length = number("Qlen"),
              .backlog = number("Backlog")},
             sink);
  }
  return {};
}

// The queue at the root of each device.
Status CollectQdiscs(const Host& host, MetricSink& sink) {
  if (!host.options.qdisc_fixtures.empty()) return CollectRecordedQdiscs(host, sink);
  VEDETTE_ASSIGN_OR_RETURN(auto devices, DeviceNames());
  const auto request = DumpRequest<tcmsg>(RTM_GETQDISC);
  return NetlinkDump(NETLINK_ROUTE, &request, [&](const nlmsghdr& m) {
    const auto* tc = BodyOf<tcmsg>(m);
    if (m.nlmsg_type != RTM_NEWQDISC || tc == nullptr || tc->tcm_parent != TC_H_ROOT) return;
    const NetlinkAttributes a = AttributesOf(m, sizeof *tc);
    const NetlinkAttributes stats = AttributesOf(Find(a, TCA_STATS2));
    const auto basic = Value<gnet_stats_basic>(Find(stats, TCA_STATS_BASIC));
    const auto queue = Value<gnet_stats_queue>(Find(stats, TCA_STATS_QUEUE));
    AddQdisc(host,
             {.device = devices[tc->tcm_ifindex],
              .kind = std::string(Text(Find(a, TCA_KIND))),
              .bytes = static_cast<double>(basic.bytes),
              .packets = static_cast<double>(basic.packets),
              .drops = static_cast<double>(queue.drops),
              .requeues = static_cast<double>(queue.requeues),
              .overlimits = static_cast<double>(queue.overlimits),
              .length = static_cast<double>(queue.qlen),
              .backlog = static_cast<double>(queue.backlog)},
             sink);
  });
}

// Counts sockets by state without reading the text of /proc/net/tcp, which is slow with many.
Status CollectTcpstat(const Host& host, MetricSink& sink) {
  static constexpr std::array<const char*, 13> kStates = {
      nullptr,     "established", "syn_sent", "syn_recv", "fin_wait1", "fin_wait2", "time_wait",
      "close", "close_wait",  "last_ack", "listen",   "closing",   "new_syn_recv"};
  std::array<uint64_t, kStates.size()> counts = {};
  uint64_t received = 0;
  uint64_t sent = 0;
  for (const int family : {AF_INET, AF_INET6}) {
    if (family == AF_INET6 && !ReadFile(host.Proc("net/tcp6")).ok()) continue;
    auto request = DumpRequest<inet_diag_req_v2>(SOCK_DIAG_BY_FAMILY);
    request.body.sdiag_family = static_cast<uint8_t>(family);
    request.body.sdiag_protocol = IPPROTO_TCP;
    request.body.idiag_states = 0xfff;
    VEDETTE_RETURN_IF_ERROR(NetlinkDump(NETLINK_SOCK_DIAG, &request, [&](const nlmsghdr& m) {
      const auto* socket = BodyOf<inet_diag_msg>(m);
      if (m.nlmsg_type != SOCK_DIAG_BY_FAMILY || socket == nullptr) return;
      if (socket->idiag_state < counts.size()) ++counts[socket->idiag_state];
      received += socket->idiag_rqueue;
      sent += socket->idiag_wqueue;
    }));
  }
  sink.Family("node_tcp_connection_states", MetricType::kGauge, "Number of connection states.");
  for (size_t i = 1; i < counts.size(); ++i) {
    if (counts[i] != 0) sink.Add({{"state", kStates[i]}}, static_cast<double>(counts[i]));
  }
  sink.Add({{"state", "rx_queued_bytes"}}, static_cast<double>(received));
  sink.Add({{"state", "tx_queued_bytes"}}, static_cast<double>(sent));
  return {};
}

// Neighbours in the table of addresses; those that need none are left out, as /proc/net/arp does.
Status CollectArp(const Host& host, MetricSink& sink) {
  std::map<std::string, int> entries;
  if (host.options.arp_netlink) {
    VEDETTE_ASSIGN_OR_RETURN(auto devices, DeviceNames());
    auto request = DumpRequest<ndmsg>(RTM_GETNEIGH);
    request.body.ndm_family = AF_INET;
    VEDETTE_RETURN_IF_ERROR(NetlinkDump(NETLINK_ROUTE, &request, [&](const nlmsghdr& m) {
      const auto* neighbour = BodyOf<ndmsg>(m);
      if (m.nlmsg_type != RTM_NEWNEIGH || neighbour == nullptr) return;
      if ((neighbour->ndm_state & NUD_NOARP) == 0) ++entries[devices[neighbour->ndm_ifindex]];
    }));
  } else {
    VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(host.Proc("net/arp")));
    bool header = true;
    ForEachLine(text, [&](std::string_view line) {
      const auto words = Words(line);
      if (!header && words.size() >= 6) ++entries[std::string(words[5])];
      header = false;
    });
  }
  sink.Family("node_arp_entries", MetricType::kGauge, "ARP entries by device");
  for (const auto& [device, count] : entries) {
    if (host.arp.Passes(device)) sink.Add({{"device", device}}, count);
  }
  return {};
}

}  // namespace

void AddNetlinkCollectors(const HostPtr& host, Collectors& out) {
  Add(out, {"arp", "/proc/net/arp, or netlink (RTM_GETNEIGH)"}, host, CollectArp);
  Add(out, {"bonding", "/sys/class/net/bonding_masters and each bond's slaves"}, host,
      CollectBonding);
  Add(out, {"network_route", "netlink (RTM_GETROUTE)", kOff}, host, CollectRoutes);
  Add(out, {"qdisc", "netlink (RTM_GETQDISC)", kOff}, host, CollectQdiscs);
  Add(out, {"tcpstat", "netlink (SOCK_DIAG_BY_FAMILY)", kOff}, host, CollectTcpstat);
}

}  // namespace vedette::agent
