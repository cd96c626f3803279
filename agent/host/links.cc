#include "agent/host/links.h"

#include <linux/if.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <string_view>
#include <utility>

#include "agent/host/netlink.h"
#include "common/base/clock.h"

namespace vedette::agent {
namespace {

Link Read(const nlmsghdr& message, const ifinfomsg& info) {
  Link link;
  link.index = link.lower_index = info.ifi_index;
  link.type = info.ifi_type;
  link.up = (info.ifi_flags & IFF_UP) != 0;
  if (link.up) link.dormant = (info.ifi_flags & IFF_DORMANT) != 0;
  std::optional<uint32_t> promiscuous, all_multicast;
  ForEachAttribute(message, sizeof info, [&](uint16_t type, std::string_view value) {
    switch (type) {
      case IFLA_IFNAME:
        link.name = Text(value);
        break;
      case IFLA_ADDRESS:
        link.address = HardwareAddress(value);
        break;
      case IFLA_BROADCAST:
        link.broadcast = HardwareAddress(value);
        break;
      case IFLA_IFALIAS:
        link.alias = Text(value);
        break;
      case IFLA_OPERSTATE:
        link.state = Value<uint8_t>(value);
        break;
      case IFLA_LINKMODE:
        link.link_mode = Value<uint8_t>(value);
        break;
      case IFLA_CARRIER:
        if (link.up) link.carrier = Value<uint8_t>(value) != 0;
        break;
      case IFLA_MTU:
        link.mtu = Value<uint32_t>(value);
        break;
      case IFLA_TXQLEN:
        link.queue_length = Value<uint32_t>(value);
        break;
      case IFLA_GROUP:
        link.group = Value<uint32_t>(value);
        break;
      case IFLA_LINK:
        link.lower_index = Value<int>(value);
        break;
      case IFLA_PROMISCUITY:
        promiscuous = Value<uint32_t>(value);
        break;
      case IFLA_ALLMULTI:
        all_multicast = Value<uint32_t>(value);
        break;
      case IFLA_CARRIER_CHANGES:
        link.carrier_changes = Value<uint32_t>(value);
        break;
      case IFLA_CARRIER_UP_COUNT:
        link.carrier_ups = Value<uint32_t>(value);
        break;
      case IFLA_CARRIER_DOWN_COUNT:
        link.carrier_downs = Value<uint32_t>(value);
        break;
      case IFLA_STATS64:
        // Older kernels tell less than the struct holds.
        std::memcpy(&link.stats, value.data(), std::min(value.size(), sizeof link.stats));
        link.has_stats = true;
        break;
    }
  });
  // Netlink adds what follows from the state, and shows as promiscuous only what an administrator
  // made so; sysfs shows the device's own word, where a bridge above it counts as well.
  if (promiscuous && all_multicast) {
    uint32_t flags = info.ifi_flags & ~static_cast<uint32_t>(IFF_RUNNING | IFF_LOWER_UP |
                                                             IFF_DORMANT | IFF_PROMISC |
                                                             IFF_ALLMULTI);
    if (*promiscuous > 0) flags |= IFF_PROMISC;
    if (*all_multicast > 0) flags |= IFF_ALLMULTI;
    link.flags = flags;
  }
  return link;
}

Result<Links::List> Ask() {
  struct {
    nlmsghdr header;
    ifinfomsg info;
  } request = {};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_GETLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  auto links = std::make_shared<std::vector<Link>>();
  VEDETTE_RETURN_IF_ERROR(NetlinkDump(NETLINK_ROUTE, &request, [&](const nlmsghdr& m) {
    const auto* info = BodyOf<ifinfomsg>(m);
    if (m.nlmsg_type != RTM_NEWLINK || info == nullptr) return;
    Link link = Read(m, *info);
    if (!link.name.empty()) links->push_back(std::move(link));
  }));
  return Links::List(std::move(links));
}

}  // namespace

const char* OperationalState(uint8_t state) {
  static constexpr const char* kNames[] = {"unknown", "notpresent", "down", "lowerlayerdown",
                                           "testing", "dormant",    "up"};
  return state < std::size(kNames) ? kNames[state] : "unknown";
}

Result<Links::List> Links::Get() {
  // Held while the kernel is asked: whoever comes meanwhile wants this very answer.
  MutexLock lock(mu_);
  const int64_t now = SystemClock().MonotonicNs();
  if (last_ != nullptr && now - asked_ns_ <= kSameMomentNs) return last_;
  VEDETTE_ASSIGN_OR_RETURN(last_, Ask());
  asked_ns_ = now;
  return last_;
}

}  // namespace vedette::agent
