#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/host/collector_groups.h"
#include "agent/host/files.h"
#include "agent/host/netlink.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

// What is counted of each interface, in the order of the columns of /proc/net/dev; the last one
// only netlink tells.
constexpr std::array<const char*, 17> kCounters = {
    "receive_bytes",    "receive_packets",  "receive_errs",       "receive_drop",
    "receive_fifo",     "receive_frame",    "receive_compressed", "receive_multicast",
    "transmit_bytes",   "transmit_packets", "transmit_errs",      "transmit_drop",
    "transmit_fifo",    "transmit_colls",   "transmit_carrier",   "transmit_compressed",
    "receive_nohandler"};

struct Interface {
  std::string name;
  std::array<uint64_t, 17> counters{};
  size_t known = 16;
};

// The sums are those that the kernel itself makes for /proc/net/dev (net/core/net-procfs.c).
Interface FromStats(std::string name, const rtnl_link_stats64& s) {
  return {
      std::move(name),
      {s.rx_bytes, s.rx_packets, s.rx_errors, s.rx_dropped + s.rx_missed_errors, s.rx_fifo_errors,
       s.rx_length_errors + s.rx_over_errors + s.rx_crc_errors + s.rx_frame_errors, s.rx_compressed,
       s.multicast, s.tx_bytes, s.tx_packets, s.tx_errors, s.tx_dropped, s.tx_fifo_errors,
       s.collisions,
       s.tx_carrier_errors + s.tx_aborted_errors + s.tx_window_errors + s.tx_heartbeat_errors,
       s.tx_compressed, s.rx_nohandler},
      17};
}

Result<std::vector<Interface>> FromNetlink() {
  struct {
    nlmsghdr header;
    ifinfomsg info;
  } request = {};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_GETLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  std::vector<Interface> found;
  VEDETTE_RETURN_IF_ERROR(NetlinkDump(NETLINK_ROUTE, &request, [&](const nlmsghdr& m) {
    if (m.nlmsg_type != RTM_NEWLINK) return;
    const NetlinkAttributes a = AttributesOf(m, sizeof(ifinfomsg));
    const auto name = a.find(IFLA_IFNAME);
    const auto stats = a.find(IFLA_STATS64);
    if (name == a.end() || stats == a.end()) return;
    // Older kernels tell less than the struct holds.
    rtnl_link_stats64 counters = {};
    std::memcpy(&counters, stats->second.data(), std::min(stats->second.size(), sizeof counters));
    found.push_back(FromStats(std::string(Text(name->second)), counters));
  }));
  return found;
}

// The addresses of the interfaces, as --collector.netdev.address-info asks for them.
Status AddAddresses(const Host& host, MetricSink& sink) {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return Unavailable(StrCat("getifaddrs: ", std::strerror(errno)));
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, freeifaddrs);
  sink.Family("node_network_address_info", MetricType::kGauge, "node network address by device");
  for (const ifaddrs* a = list; a != nullptr; a = a->ifa_next) {
    if (a->ifa_addr == nullptr || a->ifa_netmask == nullptr || !host.netdev.Passes(a->ifa_name)) {
      continue;
    }
    const void* address = nullptr;
    const unsigned char* mask = nullptr;
    size_t bytes = 0;
    bool link_local = false;
    bool global = false;
    if (a->ifa_addr->sa_family == AF_INET) {
      const auto* in = reinterpret_cast<const sockaddr_in*>(a->ifa_addr);
      address = &in->sin_addr;
      mask = reinterpret_cast<const unsigned char*>(
          &reinterpret_cast<const sockaddr_in*>(a->ifa_netmask)->sin_addr);
      bytes = 4;
      const uint32_t ip = ntohl(in->sin_addr.s_addr);
      link_local = ip >> 16 == 0xa9fe;
      global = ip >> 24 != 127 && !link_local;
    } else if (a->ifa_addr->sa_family == AF_INET6) {
      const auto* in = reinterpret_cast<const sockaddr_in6*>(a->ifa_addr);
      address = &in->sin6_addr;
      mask = reinterpret_cast<const unsigned char*>(
          &reinterpret_cast<const sockaddr_in6*>(a->ifa_netmask)->sin6_addr);
      bytes = 16;
      link_local = IN6_IS_ADDR_LINKLOCAL(&in->sin6_addr);
      global = !link_local && !IN6_IS_ADDR_LOOPBACK(&in->sin6_addr);
    } else {
      continue;
    }
    char text[INET6_ADDRSTRLEN] = {};
    inet_ntop(a->ifa_addr->sa_family, address, text, sizeof text);
    int ones = 0;
    for (size_t i = 0; i < bytes; ++i) ones += __builtin_popcount(mask[i]);
    sink.Add({{"device", a->ifa_name},
              {"address", text},
              {"netmask", StrCat(ones)},
              {"scope", global ? "global" : link_local ? "link-local" : "interface-local"}},
             1);
  }
  return {};
}

Result<std::vector<Interface>> FromProcfs(const Host& host) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(host.Proc("net/dev")));
  std::vector<Interface> found;
  ForEachLine(text, [&](std::string_view line) {
    const size_t colon = line.rfind(':');
    if (colon == std::string_view::npos) return;
    const auto words = Words(line.substr(colon + 1));
    if (words.size() < 16) return;
    Interface i{.name = std::string(Trim(line.substr(0, colon)))};
    for (size_t c = 0; c < 16; ++c) i.counters[c] = Number<uint64_t>(words[c]).value_or(0);
    found.push_back(std::move(i));
  });
  return found;
}

Status CollectNetdev(const Host& host, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::vector<Interface> interfaces,
                           host.options.netdev_netlink ? FromNetlink() : FromProcfs(host));
  std::vector<const Interface*> shown;
  for (const Interface& i : interfaces) {
    if (host.netdev.Passes(i.name)) shown.push_back(&i);
  }
  for (size_t c = 0; c < kCounters.size(); ++c) {
    bool opened = false;
    for (const Interface* i : shown) {
      if (c >= i->known) continue;
      if (!opened) {
        sink.Family(StrCat("node_network_", kCounters[c], "_total"), MetricType::kCounter,
                    StrCat("Network device statistic ", kCounters[c], "."));
      }
      opened = true;
      sink.Add({{"device", i->name}}, static_cast<double>(i->counters[c]));
    }
  }
  return host.options.netdev_address_info ? AddAddresses(host, sink) : Status();
}

// A file of a device's folder that holds a number.
struct Attribute {
  const char* file;
  const char* name;
  MetricType type = MetricType::kGauge;
  double unit = 1;
};
constexpr Attribute kAttributes[] = {
    {"addr_assign_type", "address_assign_type"},
    {"carrier", "carrier"},
    {"carrier_changes", "carrier_changes_total", MetricType::kCounter},
    {"carrier_up_count", "carrier_up_changes_total", MetricType::kCounter},
    {"carrier_down_count", "carrier_down_changes_total", MetricType::kCounter},
    {"dev_id", "device_id"},
    {"dormant", "dormant"},
    {"flags", "flags"},
    {"ifindex", "iface_id"},
    {"iflink", "iface_link"},
    {"link_mode", "iface_link_mode"},
    {"mtu", "mtu_bytes"},
    {"name_assign_type", "name_assign_type"},
    {"netdev_group", "net_dev_group"},
    // Megabits per second become bytes per second.
    {"speed", "speed_bytes", MetricType::kGauge, 1e6 / 8},
    {"tx_queue_len", "transmit_queue_length"},
    {"type", "protocol_type"},
};

// The family and the help of each of kAttributes, made once: a machine with containers has many
// devices.
using Named = std::array<std::pair<std::string, std::string>, std::size(kAttributes)>;
const Named& NamesOfAttributes() {
  static const auto* names = [] {
    auto* out = new Named();
    for (size_t i = 0; i < out->size(); ++i) {
      (*out)[i] = {StrCat("node_network_", kAttributes[i].name),
                   StrCat("Network device property: ", kAttributes[i].name)};
    }
    return out;
  }();
  return *names;
}

Status CollectNetclass(const Host& host, MetricSink& sink) {
  const std::string root = host.Sys("class/net");
  for (const std::string& device : ListDirectory(root)) {
    if (!host.netclass.Passes(device)) continue;
    const std::string dir = StrCat(root, "/", device, "/");
    // A plain file among the devices, such as bonding_masters.
    const auto state = ReadAttribute(dir + "operstate");
    if (!state) continue;
    sink.Family("node_network_up", MetricType::kGauge,
                "Value is 1 if operstate is 'up', 0 otherwise.");
    sink.Add({{"device", device}}, *state == "up" ? 1 : 0);
    sink.Family("node_network_info", MetricType::kGauge,
                "Non-numeric data from /sys/class/net/<iface>, value is always 1.");
    sink.Add({{"device", device},
              {"address", ReadAttribute(dir + "address").value_or("")},
              {"broadcast", ReadAttribute(dir + "broadcast").value_or("")},
              {"duplex", ReadAttribute(dir + "duplex").value_or("")},
              {"operstate", *state},
              {"ifalias", ReadAttribute(dir + "ifalias").value_or("")}},
             1);
    for (size_t i = 0; i < std::size(kAttributes); ++i) {
      const Attribute& a = kAttributes[i];
      const auto text = ReadAttribute(dir + a.file);
      if (!text) continue;
      const auto value = text->starts_with("0x")
                             ? Number<int64_t>(std::string_view(*text).substr(2), 16)
                             : Number<int64_t>(*text);
      if (!value) continue;
      if (a.unit != 1 && *value < 0 && host.options.netclass_ignore_invalid_speed) continue;
      sink.Family(NamesOfAttributes()[i].first, a.type, NamesOfAttributes()[i].second);
      sink.Add({{"device", device}}, static_cast<double>(*value) * a.unit);
    }
  }
  return {};
}

}  // namespace

void AddInterfaceCollectors(const HostPtr& host, Collectors& out) {
  Add(out, {"netdev", "netlink (RTM_GETLINK), or /proc/net/dev; getifaddrs for addresses"}, host,
      CollectNetdev);
  Add(out, {"netclass", "/sys/class/net/*"}, host, CollectNetclass);
}

}  // namespace vedette::agent
