#include "common/base/link_local.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <string>

namespace vedette {
namespace {

bool LinkLocal(const std::string& text) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  if (inet_pton(AF_INET, text.c_str(), &in.sin_addr) == 1) {
    return IsLinkLocal(reinterpret_cast<const sockaddr*>(&in));
  }
  sockaddr_in6 in6{};
  in6.sin6_family = AF_INET6;
  EXPECT_EQ(inet_pton(AF_INET6, text.c_str(), &in6.sin6_addr), 1) << text;
  return IsLinkLocal(reinterpret_cast<const sockaddr*>(&in6));
}

TEST(LinkLocal, InEveryNotation) {
  for (const char* yes : {"169.254.169.254", "169.254.0.1", "::ffff:169.254.169.254", "fe80::1",
                          "febf::1", "fd00:ec2::254"}) {
    EXPECT_TRUE(LinkLocal(yes)) << yes;
  }
  for (const char* no : {"127.0.0.1", "169.253.1.1", "169.255.1.1", "10.0.0.1", "::1",
                         "::ffff:10.0.0.1", "fec0::1", "fd00:ec3::1", "2001:db8::1"}) {
    EXPECT_FALSE(LinkLocal(no)) << no;
  }
}

}  // namespace
}  // namespace vedette
