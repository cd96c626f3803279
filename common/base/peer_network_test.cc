#include "common/base/peer_network.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <string>

namespace vedette {
namespace {

std::string Of(const char* text) {
  sockaddr_in v4{.sin_family = AF_INET, .sin_port = htons(4711)};
  if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
    return PeerNetwork(reinterpret_cast<const sockaddr*>(&v4));
  }
  sockaddr_in6 v6{.sin6_family = AF_INET6, .sin6_port = htons(4711)};
  EXPECT_EQ(inet_pton(AF_INET6, text, &v6.sin6_addr), 1) << text;
  return PeerNetwork(reinterpret_cast<const sockaddr*>(&v6));
}

TEST(PeerNetwork, IsTheAddressOrTheHalfThatIsGivenOut) {
  EXPECT_EQ(Of("192.0.2.7"), "192.0.2.7");
  EXPECT_EQ(Of("::ffff:192.0.2.7"), "192.0.2.7");
  EXPECT_EQ(Of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  EXPECT_EQ(Of("2001:db8:1:2::9"), "2001:db8:1:2::/64");
  EXPECT_EQ(Of("::1"), "::/64");
  sockaddr_un local{.sun_family = AF_UNIX};
  EXPECT_EQ(PeerNetwork(reinterpret_cast<const sockaddr*>(&local)), "");
}

}  // namespace
}  // namespace vedette
