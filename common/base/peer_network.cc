#include "common/base/peer_network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

namespace vedette {

std::string PeerNetwork(const sockaddr* address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address->sa_family == AF_INET) {
    const auto& v4 = *reinterpret_cast<const sockaddr_in*>(address);
    (void)inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    return text;
  }
  if (address->sa_family != AF_INET6) return "";
  in6_addr v6 = reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) {
    (void)inet_ntop(AF_INET, &v6.s6_addr[12], text, sizeof text);
    return text;
  }
  constexpr int kNetworkBytes = 8;
  std::fill(v6.s6_addr + kNetworkBytes, v6.s6_addr + sizeof v6.s6_addr, uint8_t{0});
  (void)inet_ntop(AF_INET6, &v6, text, sizeof text);
  return std::string(text) + "/64";
}

}  // namespace vedette
