#include "common/http/limits.h"

#include <gtest/gtest.h>

#include <string>

#include "common/base/status.h"
#include "common/flags/flags.h"

namespace vedette::http {
namespace {

TEST(Limits, WhatCannotBeIsRefusedByTheFlagsName) {
  EXPECT_TRUE(CheckLimits({}).ok());
  for (const char* flag :
       {"--web.max-connections=0", "--web.max-connections-per-second=0", "--web.header-timeout=0s",
        "--web.max-header-size=4GB", "--web.body-timeout=0s", "--web.max-body-size=0",
        "--web.max-buffered-size=0", "--web.max-queued-requests=-1"}) {
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
}  // namespace vedette::http
