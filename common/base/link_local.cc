#include "common/base/link_local.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstring>

namespace vedette {

bool IsLinkLocal(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    sockaddr_in in;
    std::memcpy(&in, address, sizeof in);
    return ntohl(in.sin_addr.s_addr) >> 16 == 0xa9fe;
  }
  if (address->sa_family != AF_INET6) return false;
  sockaddr_in6 in;
  std::memcpy(&in, address, sizeof in);
  const uint8_t* b = in.sin6_addr.s6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&in.sin6_addr)) return b[12] == 169 && b[13] == 254;
  const bool ec2 = b[0] == 0xfd && b[1] == 0 && b[2] == 0x0e && b[3] == 0xc2;
  return IN6_IS_ADDR_LINKLOCAL(&in.sin6_addr) || ec2;
}

}  // namespace vedette
