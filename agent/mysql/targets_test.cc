#include "agent/mysql/targets.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "agent/mysql/mysql.h"
#include "common/base/status.h"
#include "common/model/metric_family.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace vedette::agent {
namespace {

// Ports that nobody listens on: what is asked for is seen in the answer all the same. Servers that
// answer are in tests/e2e/mysql_probe_test.py.
class MysqlTargetsTest : public ::testing::Test {
 protected:
  MysqlTargetsTest() {
    std::ofstream(path_) << "[client]\nuser=w\npassword=p\n[client.other]\nport=1\n"
                            "[nobody]\npassword=q\n[broken]\nuser=w\nport=x\n";
    options_.config_files = {path_};
    options_.clock = &clock_;
    options_.base.connect_timeout_ms = 1'000;
  }

  static double Up(const MysqlTargets::Answer& answer) {
    for (const MetricFamily& f : answer.families) {
      if (f.name == "mysql_up") return f.samples[0].value;
    }
    return -1;
  }

  static std::string Refusal(MysqlTargets& targets, const MysqlTargets::Request& request) {
    const auto answer = targets.Probe(request);
    return answer.ok() ? "accepted" : answer.status().ToString();
  }

  vedette::testing::TempDir dir_;
  const std::string path_ = dir_.path() + "/my.cnf";
  vedette::testing::FakeClock clock_;
  MysqlTargets::Options options_;
};

TEST_F(MysqlTargetsTest, AServerThatIsNotThereIsDown) {
  MysqlTargets targets(options_);
  for (const char* module : {"client", "client.other"}) {
    SCOPED_TRACE(module);
    const auto answer = targets.Probe({.target = "127.0.0.1:1", .auth_module = module});
    ASSERT_TRUE(answer.ok()) << answer.status().ToString();
    EXPECT_EQ(Up(*answer), 0);
  }
  EXPECT_EQ(targets.kept(), 1u);  // The same server with the same account.
}

TEST_F(MysqlTargetsTest, WhatCannotBeIsRefusedWithItsReason) {
  MysqlTargets targets(options_);
  const auto has = [&](const MysqlTargets::Request& request, const char* words) {
    const std::string refusal = Refusal(targets, request);
    EXPECT_NE(refusal.find(words), std::string::npos) << refusal;
  };
  has({.target = ""}, "target is required");
  has({.target = "db:3306", .auth_module = "client.nosuch"},
      "Could not find config section [client.nosuch]");
  has({.target = "db:3306", .auth_module = "nobody"}, "names no user");
  has({.target = "db:3306", .auth_module = "broken"}, "line 10");
  has({.target = "db:port"}, "\"port\" is no port");
  // Options of an address would let whoever asks read files and send them as passwords.
  has({.target = "db:3306;password-file=/etc/shadow"}, "expected host, host:port");
  has({.target = "db:3306", .collectors = {"nosuch"}}, "no MySQL collector \"nosuch\"");
  has({.target = "db:3306", .collectors = {"heartbeat"}}, "\"heartbeat\" is switched off");
  EXPECT_EQ(targets.kept(), 0u);
  options_.config_files = {dir_.path() + "/nowhere.cnf"};
  MysqlTargets without(options_);
  EXPECT_EQ(without.Probe({.target = "db:3306"}).status().code(), StatusCode::kNotFound);
}

TEST_F(MysqlTargetsTest, AChangedFileCountsFromTheNextProbeOn) {
  MysqlTargets targets(options_);
  EXPECT_NE(Refusal(targets, {.target = "127.0.0.1:1", .auth_module = "new"}), "accepted");
  std::ofstream(path_, std::ios::app) << "[new]\nuser=n\n";
  EXPECT_EQ(Refusal(targets, {.target = "127.0.0.1:1", .auth_module = "new"}), "accepted");
}

TEST_F(MysqlTargetsTest, WhatNobodyAsksForIsClosed) {
  MysqlTargets targets(options_);
  for (const char* target : {"127.0.0.1:1", "127.0.0.1:2"}) {
    EXPECT_EQ(Refusal(targets, {.target = target}), "accepted");
  }
  EXPECT_EQ(targets.kept(), 2u);
  clock_.Advance(MysqlTargets::kIdleMs + 1);
  EXPECT_EQ(Refusal(targets, {.target = "127.0.0.1:1"}), "accepted");
  EXPECT_EQ(targets.kept(), 1u);
}

}  // namespace
}  // namespace vedette::agent
