#include "common/rpc/authorizer.h"

#include <gtest/gtest.h>

#include <string>

namespace vedette::rpc {
namespace {

using tls::Role;

TEST(Authorizer, TheMostExactRuleDecidesAndWhatNoRuleNamesIsRefused) {
  const Authorizer authorizer(
      {{"/p.S/", {Role::kServer, Role::kViewer}}, {"/p.S/Pull", {Role::kServer}}});
  struct Case {
    const char* method;
    Role role;
    bool want;
  };
  for (const Case& c :
       {Case{"/p.S/Pull", Role::kServer, true}, Case{"/p.S/Pull", Role::kViewer, false},
        Case{"/p.S/Describe", Role::kViewer, true}, Case{"/p.S/Describe", Role::kAgent, false},
        Case{"/p.S/Describe", Role::kNone, false}, Case{"/p.Other/Describe", Role::kServer, false},
        Case{"/p.S", Role::kServer, false}, Case{"", Role::kServer, false},
        Case{"/grpc.health.v1.Health/Check", Role::kAgent, true},
        Case{"/grpc.health.v1.Health/Check", Role::kNone, false},
        Case{"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Role::kOperator,
             true}}) {
    SCOPED_TRACE(std::string(c.method) + " as " + std::string(tls::RoleName(c.role)));
    const Status got = authorizer.Check(c.method, {.name = "x", .role = c.role});
    EXPECT_EQ(got.ok(), c.want) << got.ToString();
    if (!c.want) {
      EXPECT_EQ(got.code(), StatusCode::kPermissionDenied);
    }
  }
}

TEST(Authorizer, ARefusalSaysWhoWhatAndWhichRoleWouldDo) {
  const Authorizer authorizer({{"/p.S/Pull", {Role::kServer}}});
  const std::string message(
      authorizer.Check("/p.S/Pull", {.name = "eve", .role = Role::kViewer}).message());
  EXPECT_NE(message.find("role viewer"), std::string::npos) << message;
  EXPECT_NE(message.find("\"eve\""), std::string::npos) << message;
  EXPECT_NE(message.find("/p.S/Pull; it is for server"), std::string::npos) << message;
}

}  // namespace
}  // namespace vedette::rpc
