#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "agent/host/files.h"
#include "agent/host/network.h"
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
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return Unavailable(StrCat("netlink socket: ", std::strerror(errno)));
  struct {
    nlmsghdr header;
    ifinfomsg info;
  } request = {};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_GETLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.info.ifi_family = AF_UNSPEC;
  std::vector<Interface> found;
  Status status;
  bool done = send(fd, &request, sizeof request, 0) < 0;
  if (done) status = Unavailable(StrCat("netlink request: ", std::strerror(errno)));
  std::vector<char> buffer(1 << 16);
  while (!done) {
    ssize_t n = recv(fd, buffer.data(), buffer.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      status = Unavailable(StrCat("netlink answer: ", std::strerror(errno)));
      break;
    }
    auto left = static_cast<unsigned>(n);
    for (auto* message = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left)) {
      if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR) done = true;
      if (message->nlmsg_type != RTM_NEWLINK) continue;
      auto* info = static_cast<ifinfomsg*>(NLMSG_DATA(message));
      auto attributes = static_cast<unsigned>(IFLA_PAYLOAD(message));
      std::string name;
      rtnl_link_stats64 stats = {};
      bool has_stats = false;
      for (auto* a = IFLA_RTA(info); RTA_OK(a, attributes); a = RTA_NEXT(a, attributes)) {
        const size_t size = RTA_PAYLOAD(a);
        if (a->rta_type == IFLA_IFNAME && size > 0) {
          name.assign(static_cast<const char*>(RTA_DATA(a)), size - 1);
        } else if (a->rta_type == IFLA_STATS64) {
          std::memcpy(&stats, RTA_DATA(a), std::min(size, sizeof stats));
          has_stats = true;
        }
      }
      if (has_stats) found.push_back(FromStats(std::move(name), stats));
    }
  }
  close(fd);
  if (!status.ok()) return status;
  return found;
}

Result<std::vector<Interface>> FromProcfs(const HostOptions& options) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(options.procfs + "/net/dev"));
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

Status CollectNetdev(const HostOptions& options, const Filter& devices, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::vector<Interface> interfaces,
                           options.netdev_netlink ? FromNetlink() : FromProcfs(options));
  for (size_t c = 0; c < kCounters.size(); ++c) {
    for (const Interface& i : interfaces) {
      if (c >= i.known || !devices.Passes(i.name)) continue;
      sink.Family(StrCat("node_network_", kCounters[c], "_total"), MetricType::kCounter,
                  StrCat("Network device statistic ", kCounters[c], "."));
      sink.Add({{"device", i.name}}, static_cast<double>(i.counters[c]));
    }
  }
  return {};
}

Status CollectNetclass(const HostOptions& options, const Filter& devices, MetricSink& sink) {
  struct Attribute {
    const char* file;
    const char* name;
    const char* help;
    MetricType type = MetricType::kGauge;
    double unit = 1;
  };
  static constexpr Attribute kAttributes[] = {
      {"addr_assign_type", "address_assign_type", "address_assign_type"},
      {"carrier", "carrier", "carrier"},
      {"carrier_changes", "carrier_changes_total", "carrier_changes_total", MetricType::kCounter},
      {"carrier_up_count", "carrier_up_changes_total", "carrier_up_changes_total",
       MetricType::kCounter},
      {"carrier_down_count", "carrier_down_changes_total", "carrier_down_changes_total",
       MetricType::kCounter},
      {"dev_id", "device_id", "device_id"},
      {"dormant", "dormant", "dormant"},
      {"flags", "flags", "flags"},
      {"ifindex", "iface_id", "iface_id"},
      {"iflink", "iface_link", "iface_link"},
      {"link_mode", "iface_link_mode", "iface_link_mode"},
      {"mtu", "mtu_bytes", "mtu_bytes"},
      {"name_assign_type", "name_assign_type", "name_assign_type"},
      {"netdev_group", "net_dev_group", "net_dev_group"},
      // Megabits per second become bytes per second.
      {"speed", "speed_bytes", "speed_bytes", MetricType::kGauge, 1e6 / 8},
      {"tx_queue_len", "transmit_queue_length", "transmit_queue_length"},
      {"type", "protocol_type", "protocol_type"},
  };
  const std::string root = options.sysfs + "/class/net";
  for (const std::string& device : ListDirectory(root)) {
    if (!devices.Passes(device)) continue;
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
    for (const Attribute& a : kAttributes) {
      const auto text = ReadAttribute(dir + a.file);
      if (!text) continue;
      const auto value = text->starts_with("0x")
                             ? Number<int64_t>(std::string_view(*text).substr(2), 16)
                             : Number<int64_t>(*text);
      if (!value) continue;
      if (a.unit != 1 && *value < 0 && options.netclass_ignore_invalid_speed) continue;
      sink.Family(StrCat("node_network_", a.name), a.type,
                  StrCat("Network device property: ", a.help));
      sink.Add({{"device", device}}, static_cast<double>(*value) * a.unit);
    }
  }
  return {};
}

}  // namespace

void AddInterfaceCollectors(const HostOptions& options, const Filter& netdev,
                            const Filter& netclass, Collectors& out) {
  Add(out, "netdev",
      [options, netdev](MetricSink& s) { return CollectNetdev(options, netdev, s); });
  Add(out, "netclass",
      [options, netclass](MetricSink& s) { return CollectNetclass(options, netclass, s); });
}

}  // namespace vedette::agent
