#include "agent/probe/address.h"

#include <netdb.h>
#include <netinet/in.h>

#include <cstring>
#include <memory>

#include "common/base/link_local.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

// FNV-1a over the address' bytes, as blackbox_exporter has it.
double AddressHash(const Address& address) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(&address.storage);
  size_t from = offsetof(sockaddr_in, sin_addr), count = 4;
  if (address.ip6) {
    from = offsetof(sockaddr_in6, sin6_addr);
    count = 16;
  }
  uint32_t hash = 2166136261u;
  for (size_t i = 0; i < count; ++i) {
    hash ^= bytes[from + i];
    hash *= 16777619u;
  }
  return hash;
}

// Zeros where there is no address.
void AddAddressMetrics(double protocol, double hash, ProbeRun& run) {
  run.sink.Gauge("probe_ip_protocol", "4 or 6: the protocol of the address that was probed.",
                 protocol);
  run.sink.Gauge("probe_ip_addr_hash", "A hash of the address: it changes when the address does.",
                 hash);
}

}  // namespace

std::pair<std::string, std::string> SplitHostPort(std::string_view text) {
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos) return {std::string(text), ""};
    const std::string_view rest = text.substr(close + 1);
    return {std::string(text.substr(1, close - 1)),
            std::string(rest.starts_with(':') ? rest.substr(1) : "")};
  }
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || text.find(':') != colon) return {std::string(text), ""};
  return {std::string(text.substr(0, colon)), std::string(text.substr(colon + 1))};
}

std::optional<Address> Resolve(const std::string& host, const std::string& port,
                               const IpChoice& choice, ProbeRun& run) {
  const auto begin = ProbeRun::Clock::now();
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int error =
      getaddrinfo(host.c_str(), port.empty() ? nullptr : port.c_str(), &hints, &list);
  const double seconds = SecondsSince(begin);
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, freeaddrinfo);
  run.sink.Gauge("probe_dns_lookup_time_seconds", "What looking the name up took, in seconds.",
                 seconds);
  const addrinfo* chosen = nullptr;
  const int wanted = choice.prefer_ip6 ? AF_INET6 : AF_INET;
  for (const addrinfo* a = list; error == 0 && a != nullptr; a = a->ai_next) {
    if (a->ai_family != AF_INET && a->ai_family != AF_INET6) continue;
    if (a->ai_family == wanted) {
      chosen = a;
      break;
    }
    if (choice.fallback && chosen == nullptr) chosen = a;
  }
  if (chosen == nullptr) {
    AddAddressMetrics(0, 0, run);
    run.Fail(StrCat("resolving ", Quoted(host), ": ",
                    error != 0 ? gai_strerror(error) : "no address of the wanted protocol"));
    return std::nullopt;
  }
  Address address;
  std::memcpy(&address.storage, chosen->ai_addr, chosen->ai_addrlen);
  address.size = chosen->ai_addrlen;
  address.ip6 = chosen->ai_family == AF_INET6;
  address.lookup_seconds = seconds;
  char text[NI_MAXHOST] = {};
  getnameinfo(chosen->ai_addr, chosen->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
  address.text = text;
  AddAddressMetrics(address.ip6 ? 6 : 4, AddressHash(address), run);
  if (IsLinkLocal(reinterpret_cast<const sockaddr*>(&address.storage))) {
    run.Fail(StrCat(address.text, " is link-local, where clouds keep a machine's keys: not probed"));
    return std::nullopt;
  }
  return address;
}

}  // namespace vedette::agent
