#include <linux/genetlink.h>
#include <linux/nl80211.h>

#include <array>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/host/collector_groups.h"
#include "agent/host/files.h"
#include "agent/host/netlink.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

// A station that a wireless device talks to; what the driver does not tell is not shown.
struct Station {
  std::string address;
  std::optional<double> connected_seconds, inactive_seconds, receive_bits, transmit_bits,
      receive_bytes, transmit_bytes, signal_dbm, retries, failed, beacon_loss, receive_packets,
      transmit_packets;
};

struct Bss {
  std::string ssid, bssid, mode;
};

struct Device {
  std::string name;
  int index = 0;
  double frequency_mhz = 0;
  std::optional<Bss> bss;
  std::vector<Station> stations;
};

// IEEE 802.11's states of being with a network, as nl80211 numbers them.
std::string BssMode(uint32_t status) {
  switch (status) {
    case NL80211_BSS_STATUS_ASSOCIATED:
      return "client";
    case NL80211_BSS_STATUS_IBSS_JOINED:
      return "ad-hoc";
    default:
      return "unknown";
  }
}

void AddDevice(const Device& device, MetricSink& sink) {
  sink.Family("node_wifi_interface_frequency_hertz", MetricType::kGauge,
              "The current frequency a WiFi interface is operating at, in hertz.");
  sink.Add({{"device", device.name}}, device.frequency_mhz * 1e6);
  if (device.bss) {
    sink.Family("node_wifi_station_info", MetricType::kGauge,
                "Labeled WiFi interface station information as provided by the operating system.");
    sink.Add({{"device", device.name},
              {"bssid", device.bss->bssid},
              {"ssid", ValidUtf8(device.bss->ssid)},
              {"mode", device.bss->mode}},
             1);
  }
  for (const Station& s : device.stations) {
    const auto add = [&](const char* family, MetricType type, const char* help,
                         const std::optional<double>& value) {
      if (!value) return;
      sink.Family(StrCat("node_wifi_station_", family), type, help);
      sink.Add({{"device", device.name}, {"mac_address", s.address}}, *value);
    };
    using enum MetricType;
    add("connected_seconds_total", kCounter,
        "The total number of seconds a station has been connected to an access point.",
        s.connected_seconds);
    add("inactive_seconds", kGauge,
        "The number of seconds since any wireless activity has occurred on a station.",
        s.inactive_seconds);
    add("receive_bits_per_second", kGauge,
        "The current WiFi receive bitrate of a station, in bits per second.", s.receive_bits);
    add("transmit_bits_per_second", kGauge,
        "The current WiFi transmit bitrate of a station, in bits per second.", s.transmit_bits);
    add("receive_bytes_total", kCounter,
        "The total number of bytes received by a WiFi station.", s.receive_bytes);
    add("transmit_bytes_total", kCounter,
        "The total number of bytes transmitted by a WiFi station.", s.transmit_bytes);
    add("received_packets_total", kCounter,
        "The total number of packets received by a station.", s.receive_packets);
    add("transmitted_packets_total", kCounter,
        "The total number of packets transmitted by a station.", s.transmit_packets);
    add("signal_dbm", kGauge, "The current WiFi signal strength, in decibel-milliwatts (dBm).",
        s.signal_dbm);
    add("transmit_retries_total", kCounter,
        "The total number of times a station has had to retry while sending a packet.", s.retries);
    add("transmit_failed_total", kCounter,
        "The total number of times a station has failed to send a packet.", s.failed);
    add("beacon_loss_total", kCounter,
        "The total number of times a station has detected a beacon loss.", s.beacon_loss);
  }
}

// --- Recorded devices, as --collector.wifi.fixtures names them: interfaces.json, and for each
// device a folder with bss.json and stationinfo.json.

Result<nlohmann::json> ReadJson(const std::string& path) {
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  auto json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_discarded()) return DataLoss(StrCat(path, " is not JSON"));
  return json;
}

std::string FromBase64(std::string_view text) {
  static constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const size_t at = kAlphabet.find(c);
    if (at == std::string_view::npos) break;
    bits = bits << 6 | static_cast<uint32_t>(at);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>(bits >> count & 0xff);
    }
  }
  return out;
}

Result<std::vector<Device>> RecordedDevices(const std::string& folder) {
  VEDETTE_ASSIGN_OR_RETURN(const auto list, ReadJson(folder + "/interfaces.json"));
  std::vector<Device> devices;
  for (const auto& one : list) {
    Device device{.name = one.value("name", ""), .frequency_mhz = one.value("frequency", 0.0)};
    if (device.name.empty()) continue;
    const std::string dir = StrCat(folder, "/", device.name, "/");
    if (const auto bss = ReadJson(dir + "bss.json"); bss.ok()) {
      device.bss = Bss{bss->value("ssid", ""), HardwareAddress(FromBase64(bss->value("bssid", ""))),
                       BssMode(bss->value("status", 0U))};
    }
    if (const auto stations = ReadJson(dir + "stationinfo.json"); stations.ok()) {
      for (const auto& s : *stations) {
        const auto number = [&](const char* key, double divisor) {
          return std::optional(s.value(key, 0.0) / divisor);
        };
        device.stations.push_back({.address = HardwareAddress(FromBase64(s.value("hardwareaddr", ""))),
                                   .connected_seconds = number("connected", 1e9),
                                   .inactive_seconds = number("inactive", 1e9),
                                   .receive_bits = number("receivebitrate", 1),
                                   .transmit_bits = number("transmitbitrate", 1),
                                   .receive_bytes = number("receivedbytes", 1),
                                   .transmit_bytes = number("transmittedbytes", 1),
                                   .signal_dbm = number("signal", 1),
                                   .retries = number("transmitretries", 1),
                                   .failed = number("transmitfailed", 1),
                                   .beacon_loss = number("beaconloss", 1),
                                   .receive_packets = number("receivedpackets", 1),
                                   .transmit_packets = number("transmittedpackets", 1)});
      }
    }
    devices.push_back(std::move(device));
  }
  return devices;
}

// --- The kernel's answer, over nl80211.

struct GenericRequest {
  nlmsghdr header;
  genlmsghdr generic;
  char attributes[64];
};

GenericRequest MakeRequest(uint16_t family, uint8_t command, bool dump) {
  GenericRequest r = {};
  r.header.nlmsg_len = NLMSG_LENGTH(sizeof(genlmsghdr));
  r.header.nlmsg_type = family;
  r.header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | (dump ? NLM_F_DUMP : 0));
  r.generic.cmd = command;
  r.generic.version = 1;
  return r;
}

void Append(GenericRequest& r, uint16_t type, std::string_view value) {
  char* at = reinterpret_cast<char*>(&r) + NLMSG_ALIGN(r.header.nlmsg_len);
  nlattr header = {.nla_len = static_cast<uint16_t>(sizeof(nlattr) + value.size()),
                   .nla_type = type};
  std::memcpy(at, &header, sizeof header);
  std::memcpy(at + sizeof header, value.data(), value.size());
  r.header.nlmsg_len =
      NLMSG_ALIGN(r.header.nlmsg_len) + static_cast<uint32_t>(NLA_ALIGN(header.nla_len));
}

std::string_view Bytes(const int& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

Result<uint16_t> WirelessFamily() {
  GenericRequest request = MakeRequest(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, false);
  Append(request, CTRL_ATTR_FAMILY_NAME, std::string_view(NL80211_GENL_NAME "\0", 8));
  uint16_t family = 0;
  VEDETTE_RETURN_IF_ERROR(NetlinkDump(NETLINK_GENERIC, &request, [&](const nlmsghdr& m) {
    const auto a = AttributesOf(m, sizeof(genlmsghdr));
    if (const auto at = a.find(CTRL_ATTR_FAMILY_ID); at != a.end()) {
      family = Value<uint16_t>(at->second);
    }
  }));
  if (family == 0) return NotFound("this kernel has no nl80211: no wireless devices");
  return family;
}

std::string_view Find(const NetlinkAttributes& a, uint16_t type) {
  const auto at = a.find(type);
  return at == a.end() ? std::string_view() : at->second;
}

template <typename T>
std::optional<double> Number(const NetlinkAttributes& a, uint16_t type, double divisor = 1) {
  const std::string_view bytes = Find(a, type);
  if (bytes.size() < sizeof(T)) return std::nullopt;
  return static_cast<double>(Value<T>(bytes)) / divisor;
}

std::optional<double> Bitrate(const NetlinkAttributes& station, uint16_t type) {
  const auto rate = AttributesOf(Find(station, type));
  // In units of 100 kbit/s.
  if (const auto wide = Number<uint32_t>(rate, NL80211_RATE_INFO_BITRATE32)) return *wide * 1e5;
  const auto narrow = Number<uint16_t>(rate, NL80211_RATE_INFO_BITRATE);
  return narrow ? std::optional(*narrow * 1e5) : std::nullopt;
}

Station ToStation(const NetlinkAttributes& message) {
  const auto s = AttributesOf(Find(message, NL80211_ATTR_STA_INFO));
  // The 64-bit counters where the driver has them.
  auto received = Number<uint64_t>(s, NL80211_STA_INFO_RX_BYTES64);
  auto sent = Number<uint64_t>(s, NL80211_STA_INFO_TX_BYTES64);
  if (!received) received = Number<uint32_t>(s, NL80211_STA_INFO_RX_BYTES);
  if (!sent) sent = Number<uint32_t>(s, NL80211_STA_INFO_TX_BYTES);
  return {.address = HardwareAddress(Find(message, NL80211_ATTR_MAC)),
          .connected_seconds = Number<uint32_t>(s, NL80211_STA_INFO_CONNECTED_TIME),
          .inactive_seconds = Number<uint32_t>(s, NL80211_STA_INFO_INACTIVE_TIME, 1e3),
          .receive_bits = Bitrate(s, NL80211_STA_INFO_RX_BITRATE),
          .transmit_bits = Bitrate(s, NL80211_STA_INFO_TX_BITRATE),
          .receive_bytes = received,
          .transmit_bytes = sent,
          .signal_dbm = Number<int8_t>(s, NL80211_STA_INFO_SIGNAL),
          .retries = Number<uint32_t>(s, NL80211_STA_INFO_TX_RETRIES),
          .failed = Number<uint32_t>(s, NL80211_STA_INFO_TX_FAILED),
          .beacon_loss = Number<uint32_t>(s, NL80211_STA_INFO_BEACON_LOSS),
          .receive_packets = Number<uint32_t>(s, NL80211_STA_INFO_RX_PACKETS),
          .transmit_packets = Number<uint32_t>(s, NL80211_STA_INFO_TX_PACKETS)};
}

// The network that the device is with, out of all that it has seen.
std::optional<Bss> ToBss(const NetlinkAttributes& message) {
  const auto bss = AttributesOf(Find(message, NL80211_ATTR_BSS));
  if (!bss.contains(NL80211_BSS_STATUS)) return std::nullopt;
  Bss out{"", HardwareAddress(Find(bss, NL80211_BSS_BSSID)),
          BssMode(Value<uint32_t>(Find(bss, NL80211_BSS_STATUS)))};
  // Information elements: a byte of kind, a byte of length; kind 0 is the name.
  std::string_view elements = Find(bss, NL80211_BSS_INFORMATION_ELEMENTS);
  while (elements.size() >= 2) {
    const auto length = static_cast<unsigned char>(elements[1]);
    if (elements.size() < 2U + length) break;
    if (elements[0] == 0) out.ssid = elements.substr(2, length);
    elements.remove_prefix(2U + length);
  }
  return out;
}

Result<std::vector<Device>> KernelDevices() {
  VEDETTE_ASSIGN_OR_RETURN(const uint16_t family, WirelessFamily());
  std::vector<Device> devices;
  const GenericRequest request = MakeRequest(family, NL80211_CMD_GET_INTERFACE, true);
  VEDETTE_RETURN_IF_ERROR(NetlinkDump(NETLINK_GENERIC, &request, [&](const nlmsghdr& m) {
    const auto a = AttributesOf(m, sizeof(genlmsghdr));
    const std::string name(Text(Find(a, NL80211_ATTR_IFNAME)));
    if (name.empty()) return;  // A device without a network interface, such as P2P's.
    devices.push_back({.name = name,
                       .index = Value<int>(Find(a, NL80211_ATTR_IFINDEX)),
                       .frequency_mhz = Number<uint32_t>(a, NL80211_ATTR_WIPHY_FREQ).value_or(0)});
  }));
  for (Device& device : devices) {
    GenericRequest scan = MakeRequest(family, NL80211_CMD_GET_SCAN, true);
    Append(scan, NL80211_ATTR_IFINDEX, Bytes(device.index));
    // An access point has no network that it is with: no failure of the collector.
    (void)NetlinkDump(NETLINK_GENERIC, &scan, [&](const nlmsghdr& m) {
      if (auto bss = ToBss(AttributesOf(m, sizeof(genlmsghdr)))) device.bss = std::move(bss);
    });
    GenericRequest stations = MakeRequest(family, NL80211_CMD_GET_STATION, true);
    Append(stations, NL80211_ATTR_IFINDEX, Bytes(device.index));
    (void)NetlinkDump(NETLINK_GENERIC, &stations, [&](const nlmsghdr& m) {
      device.stations.push_back(ToStation(AttributesOf(m, sizeof(genlmsghdr))));
    });
  }
  return devices;
}

Status CollectWifi(const Host& host, MetricSink& sink) {
  const std::string& recorded = host.options.wifi_fixtures;
  VEDETTE_ASSIGN_OR_RETURN(const std::vector<Device> devices,
                           recorded.empty() ? KernelDevices() : RecordedDevices(recorded));
  for (const Device& device : devices) AddDevice(device, sink);
  return {};
}

}  // namespace

void AddWifiCollectors(const HostPtr& host, Collectors& out) {
  Add(out, {"wifi", "netlink (nl80211)", kOff}, host, CollectWifi);
}

}  // namespace vedette::agent
