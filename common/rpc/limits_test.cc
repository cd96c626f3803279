#include "common/rpc/limits.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "common/base/status.h"
#include "common/flags/flags.h"

namespace vedette::rpc {
namespace {

TEST(Limits, TheirDefaultsAreThoseThatSecurityMdPromises) {
  Limits limits;
  flags::Flags flags("test", "", "0");
  AddLimitFlags(flags, &limits);
  std::map<std::string, std::string> all;
  for (const auto& [name, value] : flags.All()) all[name] = value;
  EXPECT_EQ(all["grpc.max-concurrent-streams"], "100");
  EXPECT_EQ(limits.max_metadata_bytes, 16 << 10);
  EXPECT_EQ(limits.max_receive_bytes, 16 << 20);
  EXPECT_EQ(limits.max_connections_per_second, 100);
  EXPECT_EQ(limits.max_reconnects_per_second, 5);
  EXPECT_EQ(limits.max_calls_per_second, 1000);
  EXPECT_EQ(limits.max_bytes_per_second, 2 << 20);
  EXPECT_EQ(limits.max_control_bytes_per_second, 64 << 10);
  EXPECT_TRUE(CheckLimits(limits).ok());
}

TEST(Limits, WhatCannotBeIsRefusedByTheFlagsName) {
  for (const char* flag :
       {"--grpc.max-concurrent-streams=0", "--grpc.max-metadata-size=0",
        "--grpc.max-message-size=4GB", "--grpc.min-ping-interval=0s",
        "--grpc.max-connection-age=0s", "--grpc.handshake-timeout=0s",
        "--grpc.max-connections-per-second=0", "--grpc.max-reconnects-per-second=0",
        "--grpc.max-calls-per-second=-1", "--grpc.max-bytes-per-second=0",
        "--grpc.max-control-bytes-per-second=0"}) {
    Limits limits;
    flags::Flags flags("test", "", "0");
    AddLimitFlags(flags, &limits);
    const char* argv[] = {"test", flag};
    const auto outcome = flags.Parse(2, argv);
    const Status status = outcome.ok() ? CheckLimits(limits) : outcome.status();
    const std::string name(flag, std::string(flag).find('='));
    EXPECT_NE(status.message().find(name.substr(2)), std::string::npos)
        << flag << ": " << status.ToString();
  }
}

}  // namespace
}  // namespace vedette::rpc
