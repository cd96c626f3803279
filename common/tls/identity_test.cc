#include "common/tls/identity.h"

#include <gtest/gtest.h>

#include <string>

namespace vedette::tls {
namespace {

TEST(Identity, RolesReadBackAsWritten) {
  for (const Role role : {Role::kServer, Role::kAgent, Role::kOperator, Role::kViewer}) {
    const Result<Role> read = ParseRole(RoleName(role));
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(*read, role);
  }
  EXPECT_FALSE(ParseRole("none").ok());
  EXPECT_FALSE(ParseRole("Server").ok());
}

TEST(Identity, NamesThatCouldMeanSomethingElseAreRefused) {
  for (const char* good : {"db1", "db1.example.com", "A_b-c", "9"}) {
    EXPECT_TRUE(CheckName(good).ok()) << good;
  }
  const std::string too_long(64, 'a');
  for (const char* bad :
       {"", "../ca", "a/b", ".hidden", "-flag", "a b", "a,DNS:b", "ü", too_long.c_str()}) {
    EXPECT_FALSE(CheckName(bad).ok()) << bad;
  }
}

TEST(Identity, SpeaksForItsNamesOnly) {
  const Identity identity{
      .name = "db1",
      .role = Role::kAgent,
      .ip_addresses = {},
  };
  Identity with_sans = identity;
  with_sans.dns_names = {"db1", "db1.example.com", "*.nodes.example.com"};
  with_sans.ip_addresses = {"10.0.0.7", "::1"};
  struct Case {
    const char* host;
    bool want;
  };
  for (const Case& c :
       {Case{"db1", true}, Case{"DB1.Example.com", true}, Case{"db2", false},
        Case{"x.nodes.example.com", true}, Case{"x.y.nodes.example.com", false},
        Case{".nodes.example.com", false}, Case{"nodes.example.com", false}, Case{"10.0.0.7", true},
        Case{"10.0.0.8", false}, Case{"0:0:0:0:0:0:0:1", true}, Case{"", false}}) {
    EXPECT_EQ(with_sans.SpeaksFor(c.host), c.want) << c.host;
  }
  EXPECT_TRUE(identity.SpeaksFor("db1"));
  Identity foreign = identity;
  foreign.role = Role::kNone;
  EXPECT_FALSE(foreign.SpeaksFor("db1")) << "a common name is not a host name";
}

TEST(Identity, BytesThatAreNoCertificateAreAnError) {
  for (const char* text :
       {"", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}) {
    const Result<Identity> got = ParseIdentity(text);
    ASSERT_FALSE(got.ok()) << text;
    EXPECT_EQ(got.status().code(), StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace vedette::tls
