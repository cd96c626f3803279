#pragma once

#include <linux/if_link.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/status.h"

namespace vedette::agent {

// A network device as the kernel tells of it by netlink (rtnetlink(7)). What it does not tell is
// nothing, and is read from /sys/class/net instead.
struct Link {
  int index = 0;
  uint16_t type = 0;
  bool up = false;  // Sysfs shows a carrier, a speed and so on only of a device that is up.
  std::string name, address, broadcast, alias;
  uint8_t state = 0;  // IF_OPER_UP and others.
  uint8_t link_mode = 0;
  uint32_t mtu = 0, queue_length = 0, group = 0;
  int lower_index = 0;            // The device below, or its own index.
  std::optional<uint32_t> flags;  // As sysfs shows them: with what others asked of the device.
  std::optional<bool> carrier, dormant;  // Nothing while it is down.
  std::optional<uint32_t> carrier_changes, carrier_ups, carrier_downs;
  bool has_stats = false;
  rtnl_link_stats64 stats = {};
};

// The kernel's word for an operational state, as sysfs writes it.
const char* OperationalState(uint8_t state);

// Links asks the kernel for all network devices, once for all who ask at the same moment: the counters
// and the properties of devices are two collectors, and one answer holds both. Thread-safe.
class Links {
 public:
  using List = std::shared_ptr<const std::vector<Link>>;

  // An answer that is no older than this is given again. Collectors of one snapshot ask within
  // less, and no two snapshots are this near to each other.
  static constexpr int64_t kSameMomentNs = 20'000'000;

  // UNAVAILABLE where the kernel does not answer.
  Result<List> Get() VEDETTE_EXCLUDES(mu_);

 private:
  Mutex mu_;
  List last_ VEDETTE_GUARDED_BY(mu_);
  int64_t asked_ns_ VEDETTE_GUARDED_BY(mu_) = 0;
};

}  // namespace vedette::agent
