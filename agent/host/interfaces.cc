#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/if_link.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "agent/host/collector_groups.h"
#include "agent/host/files.h"
#include "agent/host/links.h"
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

Result<std::vector<Interface>> FromNetlink(Links& links) {
  VEDETTE_ASSIGN_OR_RETURN(const Links::List all, links.Get());
  std::vector<Interface> found;
  for (const Link& link : *all) {
    if (link.has_stats) found.push_back(FromStats(link.name, link.stats));
  }
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

Status CollectNetdev(const Host& host, Links& links, MetricSink& sink) {
  VEDETTE_ASSIGN_OR_RETURN(const std::vector<Interface> interfaces,
                           host.options.netdev_netlink ? FromNetlink(links)
                                                       : FromProcfs(host));
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

// A number of a device: the file of its folder that holds it, and where netlink tells it too.
struct Attribute {
  const char* file;
  const char* name;
  // What the kernel told of it; nothing, or null, where only the file tells it.
  std::optional<int64_t> (*told)(const Link&) = nullptr;
  MetricType type = MetricType::kGauge;
  double unit = 1;
  bool fixed = false;  // It does not change while the device has its name and its address.
};
using Told = std::optional<int64_t>;
constexpr bool kFixed = true;
constexpr Attribute kAttributes[] = {
    {"addr_assign_type", "address_assign_type", nullptr, MetricType::kGauge, 1, kFixed},
    {"carrier", "carrier", [](const Link& l) { return Told(l.carrier); }},
    {"carrier_changes", "carrier_changes_total",
     [](const Link& l) { return Told(l.carrier_changes); }, MetricType::kCounter},
    {"carrier_up_count", "carrier_up_changes_total",
     [](const Link& l) { return Told(l.carrier_ups); }, MetricType::kCounter},
    {"carrier_down_count", "carrier_down_changes_total",
     [](const Link& l) { return Told(l.carrier_downs); }, MetricType::kCounter},
    {"dev_id", "device_id", nullptr, MetricType::kGauge, 1, kFixed},
    {"dormant", "dormant", [](const Link& l) { return Told(l.dormant); }},
    {"flags", "flags", [](const Link& l) { return Told(l.flags); }},
    {"ifindex", "iface_id", [](const Link& l) { return Told(l.index); }},
    {"iflink", "iface_link", [](const Link& l) { return Told(l.lower_index); }},
    {"link_mode", "iface_link_mode", [](const Link& l) { return Told(l.link_mode); }},
    {"mtu", "mtu_bytes", [](const Link& l) { return Told(l.mtu); }},
    {"name_assign_type", "name_assign_type", nullptr, MetricType::kGauge, 1, kFixed},
    {"netdev_group", "net_dev_group", [](const Link& l) { return Told(l.group); }},
    // Megabits per second become bytes per second.
    {"speed", "speed_bytes", nullptr, MetricType::kGauge, 1e6 / 8},
    {"tx_queue_len", "transmit_queue_length", [](const Link& l) { return Told(l.queue_length); }},
    {"type", "protocol_type", [](const Link& l) { return Told(l.type); }},
};
using Numbers = std::array<std::optional<int64_t>, std::size(kAttributes)>;

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

// All that netclass shows of a device.
struct Properties {
  std::string state, address, broadcast, duplex, alias;
  Numbers numbers;
};

std::optional<int64_t> ReadInteger(const std::string& path) {
  const auto text = ReadAttribute(path);
  if (!text) return std::nullopt;
  return text->starts_with("0x") ? Number<int64_t>(std::string_view(*text).substr(2), 16)
                                 : Number<int64_t>(*text);
}

// Nothing of a plain file among the devices, such as bonding_masters.
std::optional<Properties> PropertiesFromFiles(const std::string& dir) {
  auto state = ReadAttribute(dir + "operstate");
  std::error_code error;
  if (!state && !std::filesystem::is_directory(dir, error)) return std::nullopt;
  Properties p{.state = std::move(state).value_or(""),
               .address = ReadAttribute(dir + "address").value_or(""),
               .broadcast = ReadAttribute(dir + "broadcast").value_or(""),
               .duplex = ReadAttribute(dir + "duplex").value_or(""),
               .alias = ReadAttribute(dir + "ifalias").value_or(""),
               .numbers = {}};
  for (size_t i = 0; i < p.numbers.size(); ++i) {
    p.numbers[i] = ReadInteger(dir + kAttributes[i].file);
  }
  return p;
}

// What stays as long as a device is the same.
struct KeptDevice {
  int index = 0;
  std::string address;
  Numbers fixed;
};
using KeptDevices = std::map<std::string, KeptDevice, std::less<>>;

Properties PropertiesFromLink(const Link& link, const std::string& dir, KeptDevices& kept) {
  Properties p{.state = OperationalState(link.state),
               .address = link.address,
               .broadcast = link.broadcast,
               .duplex = link.up ? ReadAttribute(dir + "duplex").value_or("") : std::string(),
               .alias = link.alias,
               .numbers = {}};
  KeptDevice& device = kept[link.name];
  const bool known = device.index == link.index && device.address == link.address;
  if (!known) device = {link.index, link.address, {}};
  for (size_t i = 0; i < p.numbers.size(); ++i) {
    const Attribute& a = kAttributes[i];
    if (a.fixed) {
      if (!known) device.fixed[i] = ReadInteger(dir + a.file);
      p.numbers[i] = device.fixed[i];
      continue;
    }
    if (a.told != nullptr) p.numbers[i] = a.told(link);
    if (!p.numbers[i] && link.up) p.numbers[i] = ReadInteger(dir + a.file);
  }
  return p;
}

void AddProperties(const Host& host, std::string_view device, const Properties& p,
                   MetricSink& sink) {
  sink.Family("node_network_up", MetricType::kGauge,
              "Value is 1 if operstate is 'up', 0 otherwise.");
  sink.Add({{"device", device}}, p.state == "up" ? 1 : 0);
  sink.Family("node_network_info", MetricType::kGauge,
              "Non-numeric data from /sys/class/net/<iface>, value is always 1.");
  sink.Add({{"device", device},
            {"address", p.address},
            {"broadcast", p.broadcast},
            {"duplex", p.duplex},
            {"operstate", p.state},
            {"ifalias", p.alias}},
           1);
  for (size_t i = 0; i < p.numbers.size(); ++i) {
    const Attribute& a = kAttributes[i];
    const auto value = p.numbers[i];
    if (!value) continue;
    if (a.unit != 1 && *value < 0 && host.options.netclass_ignore_invalid_speed) continue;
    sink.Family(NamesOfAttributes()[i].first, a.type, NamesOfAttributes()[i].second);
    sink.Add({{"device", device}}, static_cast<double>(*value) * a.unit);
  }
}

// Twenty files a device are many where containers bring devices by the dozen. Netlink tells most of
// it at once, of the network namespace that this process is in; the files are those of the namespace
// that mounted them. Where both have the same devices they are the same.
class Netclass {
 public:
  Netclass(HostPtr host, std::shared_ptr<Links> links)
      : host_(std::move(host)), links_(std::move(links)) {}

  Status Collect(MetricSink& sink) {
    const std::string root = host_->Sys("class/net");
    const std::vector<std::string> names = ListDirectory(root);
    const std::vector<const Link*> links = LinksOf(root, names);
    for (size_t i = 0; i < names.size(); ++i) {
      if (!host_->netclass.Passes(names[i])) continue;
      const std::string dir = StrCat(root, "/", names[i], "/");
      if (links.empty()) {
        const auto p = PropertiesFromFiles(dir);
        if (p) AddProperties(*host_, names[i], *p, sink);
      } else if (links[i] != nullptr) {
        AddProperties(*host_, names[i], PropertiesFromLink(*links[i], dir, kept_), sink);
      }
    }
    return {};
  }

 private:
  // The device of each name, null of what is none; empty where the files have to tell everything.
  std::vector<const Link*> LinksOf(const std::string& root, const std::vector<std::string>& names) {
    if (!host_->options.netdev_netlink || host_->options.sysfs != "/sys") return {};
    Result<Links::List> all = links_->Get();
    if (!all.ok()) return {};
    all_ = *std::move(all);
    std::map<std::string_view, const Link*> by_name;
    for (const Link& link : *all_) by_name.emplace(link.name, &link);
    std::vector<const Link*> found;
    size_t matched = 0;
    for (const std::string& name : names) {
      const auto at = by_name.find(name);
      found.push_back(at == by_name.end() ? nullptr : at->second);
      if (at != by_name.end()) {
        ++matched;
      } else if (ReadAttribute(StrCat(root, "/", name, "/operstate"))) {
        return {};
      }
    }
    if (matched != by_name.size()) return {};
    std::erase_if(kept_, [&](const auto& device) { return !by_name.contains(device.first); });
    return found;
  }

  const HostPtr host_;
  const std::shared_ptr<Links> links_;
  Links::List all_;  // What the last collection was made from.
  KeptDevices kept_;
};

}  // namespace

void AddInterfaceCollectors(const HostPtr& host, Collectors& out) {
  const auto links = std::make_shared<Links>();
  Add(out, {"netdev", "netlink (RTM_GETLINK), or /proc/net/dev; getifaddrs for addresses"},
      [host, links](MetricSink& sink) { return CollectNetdev(*host, *links, sink); });
  Add(out, {"netclass", "netlink (RTM_GETLINK) and /sys/class/net/*"},
      [netclass = std::make_shared<Netclass>(host, links)](MetricSink& sink) {
        return netclass->Collect(sink);
      });
}

}  // namespace vedette::agent
