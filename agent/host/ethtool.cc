#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <re2/re2.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/host/collector_groups.h"
#include "agent/host/files.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

// More counters than any driver has; what one says beyond is not believed.
constexpr uint32_t kMaxStats = 16384;

class Ethtool {
 public:
  Ethtool() : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {}
  ~Ethtool() {
    if (fd_ >= 0) close(fd_);
  }
  Ethtool(const Ethtool&) = delete;
  Ethtool& operator=(const Ethtool&) = delete;

  bool ok() const { return fd_ >= 0; }

  // `command` begins with the number of the request.
  bool Ask(const std::string& device, void* command) const {
    ifreq request = {};
    if (device.size() >= sizeof request.ifr_name) return false;
    std::memcpy(request.ifr_name, device.data(), device.size());
    request.ifr_data = static_cast<char*>(command);
    return ioctl(fd_, SIOCETHTOOL, &request) == 0;
  }

  std::optional<ethtool_drvinfo> Driver(const std::string& device) const {
    ethtool_drvinfo info = {};
    info.cmd = ETHTOOL_GDRVINFO;
    if (!Ask(device, &info)) return std::nullopt;
    return info;
  }

  // The driver's own counters, by name.
  std::map<std::string, uint64_t> Stats(const std::string& device) const {
    std::map<std::string, uint64_t> found;
    const auto info = Driver(device);
    if (!info || info->n_stats == 0 || info->n_stats > kMaxStats) return found;
    const size_t names_size = sizeof(ethtool_gstrings) + info->n_stats * size_t{ETH_GSTRING_LEN};
    const std::unique_ptr<uint64_t[]> names_memory(new uint64_t[names_size / 8 + 1]());
    auto* names = reinterpret_cast<ethtool_gstrings*>(names_memory.get());
    names->cmd = ETHTOOL_GSTRINGS;
    names->string_set = ETH_SS_STATS;
    names->len = info->n_stats;
    const size_t stats_size = sizeof(ethtool_stats) + info->n_stats * sizeof(uint64_t);
    const std::unique_ptr<uint64_t[]> stats_memory(new uint64_t[stats_size / 8 + 1]());
    auto* stats = reinterpret_cast<ethtool_stats*>(stats_memory.get());
    stats->cmd = ETHTOOL_GSTATS;
    stats->n_stats = info->n_stats;
    if (!Ask(device, names) || !Ask(device, stats)) return found;
    for (uint32_t i = 0; i < info->n_stats && i < stats->n_stats; ++i) {
      const char* name = reinterpret_cast<const char*>(names->data) + i * size_t{ETH_GSTRING_LEN};
      found.emplace(std::string(name, strnlen(name, ETH_GSTRING_LEN)), stats->data[i]);
    }
    return found;
  }

  // The old form: devices of today still answer it, with the modes that it knows.
  std::optional<ethtool_cmd> Settings(const std::string& device) const {
    ethtool_cmd settings = {};
    settings.cmd = ETHTOOL_GSET;
    if (!Ask(device, &settings)) return std::nullopt;
    return settings;
  }

 private:
  const int fd_;
};

// "rx_queue_0_bytes" becomes node_ethtool_received_queue_0_bytes.
std::string FamilyOf(std::string_view stat) {
  static const RE2* const kOthers = new RE2("_*[^0-9A-Za-z_]+_*");
  static const RE2* const kReceived = new RE2("(^|_)rx(_|$)");
  static const RE2* const kTransmitted = new RE2("(^|_)tx(_|$)");
  std::string name(stat);
  RE2::GlobalReplace(&name, *kOthers, "_");
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  name.erase(0, name.find_first_not_of('_'));
  RE2::GlobalReplace(&name, *kReceived, "\\1received\\2");
  RE2::GlobalReplace(&name, *kTransmitted, "\\1transmitted\\2");
  // What every network device counts is called as Prometheus calls totals.
  for (const char* common : {"received_bytes", "received_dropped", "received_errors",
                             "received_packets", "transmitted_bytes", "transmitted_errors",
                             "transmitted_packets"}) {
    if (name == common) name += "_total";
  }
  return StrCat("node_ethtool_", name);
}

struct Mode {
  int bit;
  int megabits;
  const char* duplex;
  const char* mode;
};

constexpr Mode kModes[] = {
    {ETHTOOL_LINK_MODE_10baseT_Half_BIT, 10, "half", "10baseT"},
    {ETHTOOL_LINK_MODE_10baseT_Full_BIT, 10, "full", "10baseT"},
    {ETHTOOL_LINK_MODE_100baseT_Half_BIT, 100, "half", "100baseT"},
    {ETHTOOL_LINK_MODE_100baseT_Full_BIT, 100, "full", "100baseT"},
    {ETHTOOL_LINK_MODE_1000baseT_Half_BIT, 1000, "half", "1000baseT"},
    {ETHTOOL_LINK_MODE_1000baseT_Full_BIT, 1000, "full", "1000baseT"},
    {ETHTOOL_LINK_MODE_10000baseT_Full_BIT, 10000, "full", "10000baseT"},
    {ETHTOOL_LINK_MODE_2500baseX_Full_BIT, 2500, "full", "2500baseT"},
    {ETHTOOL_LINK_MODE_1000baseKX_Full_BIT, 1000, "full", "1000baseKX"},
    {ETHTOOL_LINK_MODE_10000baseKX4_Full_BIT, 10000, "full", "10000baseKX4"},
    {ETHTOOL_LINK_MODE_10000baseKR_Full_BIT, 10000, "full", "10000baseKR"},
    {ETHTOOL_LINK_MODE_10000baseR_FEC_BIT, 10000, "full", "10000baseR_FEC"},
    {ETHTOOL_LINK_MODE_20000baseMLD2_Full_BIT, 20000, "full", "20000baseMLD2"},
    {ETHTOOL_LINK_MODE_20000baseKR2_Full_BIT, 20000, "full", "20000baseKR2"},
    {ETHTOOL_LINK_MODE_40000baseKR4_Full_BIT, 40000, "full", "40000baseKR4"},
    {ETHTOOL_LINK_MODE_40000baseCR4_Full_BIT, 40000, "full", "40000baseCR4"},
    {ETHTOOL_LINK_MODE_40000baseSR4_Full_BIT, 40000, "full", "40000baseSR4"},
    {ETHTOOL_LINK_MODE_40000baseLR4_Full_BIT, 40000, "full", "40000baseLR4"},
    {ETHTOOL_LINK_MODE_56000baseKR4_Full_BIT, 56000, "full", "56000baseKR4"},
    {ETHTOOL_LINK_MODE_56000baseCR4_Full_BIT, 56000, "full", "56000baseCR4"},
    {ETHTOOL_LINK_MODE_56000baseSR4_Full_BIT, 56000, "full", "56000baseSR4"},
    {ETHTOOL_LINK_MODE_56000baseLR4_Full_BIT, 56000, "full", "56000baseLR4"},
};

void AddSettings(const std::string& device, const ethtool_cmd& s, MetricSink& sink) {
  const auto has = [](uint32_t mask, int bit) { return (mask >> bit & 1) != 0 ? 1.0 : 0.0; };
  const auto add = [&](const char* family, const char* help, double value) {
    sink.Family(StrCat("node_network_", family), MetricType::kGauge, help);
    sink.Add({{"device", device}}, value);
  };
  static constexpr std::pair<int, const char*> kPorts[] = {
      {ETHTOOL_LINK_MODE_TP_BIT, "TP"},       {ETHTOOL_LINK_MODE_AUI_BIT, "AUI"},
      {ETHTOOL_LINK_MODE_MII_BIT, "MII"},     {ETHTOOL_LINK_MODE_FIBRE_BIT, "FIBRE"},
      {ETHTOOL_LINK_MODE_BNC_BIT, "BNC"},     {ETHTOOL_LINK_MODE_Backplane_BIT, "Backplane"}};
  for (const auto& [bit, type] : kPorts) {
    if (has(s.supported, bit) == 0) continue;
    sink.Family("node_network_supported_port_info", MetricType::kGauge,
                "Type of ports or PHYs supported by network device");
    sink.Add({{"device", device}, {"type", type}}, 1);
  }
  const auto add_speeds = [&](const char* family, const char* help, uint32_t mask) {
    for (const Mode& m : kModes) {
      if (has(mask, m.bit) == 0) continue;
      sink.Family(family, MetricType::kGauge, help);
      sink.Add({{"device", device}, {"duplex", m.duplex}, {"mode", m.mode}},
               m.megabits * 1e6 / 8);
    }
  };
  add_speeds("node_network_supported_speed_bytes",
             "Combination of speeds and features supported by network device", s.supported);
  add("autonegotiate_supported", "If this port device supports autonegotiate",
      has(s.supported, ETHTOOL_LINK_MODE_Autoneg_BIT));
  add("pause_supported", "If this port device supports pause frames",
      has(s.supported, ETHTOOL_LINK_MODE_Pause_BIT));
  add("asymmetricpause_supported", "If this port device supports asymmetric pause frames",
      has(s.supported, ETHTOOL_LINK_MODE_Asym_Pause_BIT));
  add_speeds("node_network_advertised_speed_bytes",
             "Combination of speeds and features offered by network device", s.advertising);
  add("autonegotiate_advertised", "If this port device offers autonegotiate",
      has(s.advertising, ETHTOOL_LINK_MODE_Autoneg_BIT));
  add("pause_advertised", "If this port device offers pause capability",
      has(s.advertising, ETHTOOL_LINK_MODE_Pause_BIT));
  add("asymmetricpause_advertised", "If this port device offers asymmetric pause capability",
      has(s.advertising, ETHTOOL_LINK_MODE_Asym_Pause_BIT));
  add("autonegotiate", "If this port is using autonegotiate", s.autoneg);
}

Status CollectEthtool(const Host& host, MetricSink& sink) {
  const Ethtool ethtool;
  if (!ethtool.ok()) return Unavailable(StrCat("socket: ", std::strerror(errno)));
  for (const std::string& device : ListDirectory(host.Sys("class/net"))) {
    if (!host.ethtool.Passes(device)) continue;
    if (const auto settings = ethtool.Settings(device)) AddSettings(device, *settings, sink);
    if (const auto info = ethtool.Driver(device)) {
      const auto text = [](const char* field, size_t size) {
        return std::string_view(field, strnlen(field, size));
      };
      sink.Family("node_ethtool_info", MetricType::kGauge,
                  "A metric with a constant '1' value labeled by bus_info, device, driver, "
                  "expansion_rom_version, firmware_version, version.");
      sink.Add({{"bus_info", text(info->bus_info, sizeof info->bus_info)},
                {"device", device},
                {"driver", text(info->driver, sizeof info->driver)},
                {"expansion_rom_version", text(info->erom_version, sizeof info->erom_version)},
                {"firmware_version", text(info->fw_version, sizeof info->fw_version)},
                {"version", text(info->version, sizeof info->version)}},
               1);
    }
    for (const auto& [stat, value] : ethtool.Stats(device)) {
      if (!host.ethtool_metrics.Passes(stat)) continue;
      sink.Family(FamilyOf(stat), MetricType::kUnknown, StrCat("Network interface ", stat));
      sink.Add({{"device", device}}, static_cast<double>(value));
    }
  }
  return {};
}

}  // namespace

void AddEthtoolCollectors(const HostPtr& host, Collectors& out) {
  Add(out, {"ethtool", "SIOCETHTOOL of each device in /sys/class/net", kOff}, host,
      CollectEthtool);
}

}  // namespace vedette::agent
