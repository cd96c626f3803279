#include "server/options.h"

#include <gtest/gtest.h>

#include <string>

#include "common/base/status.h"

namespace vedette {
namespace {

TEST(ServerFlags, WhatCannotWorkIsRefusedWithTheReason) {
  static constexpr struct {
    const char* flag;
    const char* why;  // "": taken.
  } kCases[] = {
      {"--query.max-samples=0", "must be above 0"},
      {"--web.max-write-size=0", "must be above 0"},
      {"--web.header-timeout=0s", "--web.header-timeout"},
      {"--query.max-depth=5000", "from 4 to 1000"},
      {"--storage.wal-sync=soon", "a duration such as 1s is expected"},
      {"--storage.wal-sync=always", ""},
      {"--web.external-url=https://ops:secret@mon.example/", "--web.external-url holds a password"},
      {"--web.external-url=https://mon.example/?token=secret", "--web.external-url holds a password"},
      {"--web.external-url=https://mon.example/vedette", ""},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.flag);
    ServerFlags flags;
    const char* argv[] = {"vedette-server", c.flag};
    const auto outcome = flags.Parse(2, argv);
    EXPECT_EQ(outcome.ok(), c.why[0] == '\0') << outcome.status().ToString();
    if (!outcome.ok()) {
      EXPECT_NE(outcome.status().message().find(c.why), std::string::npos);
      EXPECT_EQ(outcome.status().message().find("secret"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace vedette
