#include "common/flags/flags.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "tests/support/temp_dir.h"

namespace vedette::flags {
namespace {

struct FlagsTest : public ::testing::Test {
  void TestBody() override {}
  FlagsTest() {
    flags.Add("config.file", &config, "Where.");
    flags.Add("collector.cpu", &cpu, "CPU.");
    flags.Add("n", &n, "Count.");
    flags.Add("target", &targets, "Targets.");
    flags.AddDuration("storage.tsdb.retention.time", &retention_ms, "How long.");
    flags.AddSize("storage.size", &size, "How much.");
    flags.AddChoice("log.level", &level, {"debug", "info"}, "How loud.");
    flags.AddIgnored("old.flag", true);
  }
  Status Parse(std::vector<const char*> args) {
    args.insert(args.begin(), "prog");
    Result<Flags::Outcome> got = flags.Parse(int(args.size()), args.data());
    if (!got.ok()) return got.status();
    outcome = *got;
    return {};
  }
  std::string WriteFile(const std::string& text) {
    const std::string path = dir.path() + "/flags.yml";
    std::ofstream(path) << text;
    return path;
  }

  std::string config = "a.yml", level = "info";
  bool cpu = true;
  int64_t n = 1, retention_ms = 1000, size = 0;
  std::vector<std::string> targets = {"default"};
  Flags flags{"prog", "Does.", "1.2"};
  Flags::Outcome outcome;
  vedette::testing::TempDir dir;
};

TEST_F(FlagsTest, BothSpellingsOfAValueWork) {
  const Status status =
      Parse({"--config.file=b.yml", "--n", "7", "--no-collector.cpu", "--target=x", "--target", "y",
             "--storage.tsdb.retention.time=15d", "--storage.size=10GiB", "--log.level=debug"});
  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(config, "b.yml");
  EXPECT_EQ(n, 7);
  EXPECT_FALSE(cpu);
  EXPECT_EQ(targets, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(retention_ms, 15 * 86'400'000LL);
  EXPECT_EQ(size, 10LL << 30);
  EXPECT_EQ(level, "debug");
  EXPECT_TRUE(flags.Given("n"));
  EXPECT_FALSE(flags.Given("flags.file"));
}

TEST_F(FlagsTest, NothingGivenLeavesTheDefaults) {
  ASSERT_TRUE(Parse({}).ok());
  EXPECT_EQ(config, "a.yml");
  EXPECT_EQ(targets, std::vector<std::string>{"default"});
}

TEST_F(FlagsTest, TheCommandLineBeatsTheEnvironmentBeatsTheFile) {
  const std::string path = WriteFile(
      "config.file: file.yml\nn: 3\nstorage: {size: 1KB, tsdb: {retention.time: 2h}}\n"
      "target: [f1, f2]\n");
  setenv("VEDETTE_N", "4", 1);
  setenv("VEDETTE_CONFIG_FILE", "env.yml", 1);
  const Status status = Parse({"--flags.file", path.c_str(), "--n=5"});
  unsetenv("VEDETTE_N");
  unsetenv("VEDETTE_CONFIG_FILE");
  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(n, 5);
  EXPECT_EQ(config, "env.yml");
  EXPECT_EQ(size, 1024);
  EXPECT_EQ(retention_ms, 7'200'000);
  EXPECT_EQ(targets, (std::vector<std::string>{"f1", "f2"}));
}

TEST_F(FlagsTest, NothingBehindTheEqualsSignIsAnEmptyValue) {
  ASSERT_TRUE(Parse({"--config.file=", "--n=5", "--target=", "--log.level=debug"}).ok());
  EXPECT_EQ(config, "");
  EXPECT_EQ(targets, std::vector<std::string>{""});
  EXPECT_EQ(n, 5);
  EXPECT_EQ(level, "debug");
  EXPECT_NE(FlagsTest().Parse({"--n="}).message().find("not a number"), std::string_view::npos);
}

TEST_F(FlagsTest, MistakesAreNamed) {
  const std::string unknown = WriteFile("n: 1\nstorage:\n  sise: 3\n");
  const std::string flags_file = "--flags.file=" + unknown;
  const std::vector<std::pair<std::vector<const char*>, std::string>> cases = {
      {{"--config.fil=x"}, "did you mean --config.file?"},
      {{"--no-colector.cpu"}, "did you mean --no-collector.cpu?"},
      {{"--zzzzzzzzzzzzzzzz"}, "see --help"},
      {{"--n=x"}, "not a number: \"x\""},
      {{"--log.level=loud"}, "want one of debug|info"},
      {{"--storage.size=5XB"}, "not a size"},
      {{"stray"}, "unexpected argument \"stray\""},
      {{flags_file.c_str()}, ":3:3: unknown flag \"storage.sise\""},
      {{"--flags.file=/does/not/exist"}, "cannot read"},
  };
  for (const auto& [args, want] : cases) {
    const Status status = FlagsTest().Parse(args);
    EXPECT_NE(status.message().find(want), std::string_view::npos)
        << args[0] << ": " << status.ToString();
  }
}

TEST_F(FlagsTest, HelpTeachesAndVersionTells) {
  ASSERT_TRUE(Parse({"--help"}).ok());
  EXPECT_TRUE(outcome.exit);
  EXPECT_NE(outcome.text.find("--[no-]collector.cpu"), std::string::npos) << outcome.text;
  EXPECT_NE(outcome.text.find("--log.level=debug|info"), std::string::npos);
  EXPECT_EQ(outcome.text.find("old.flag"), std::string::npos);
  FlagsTest other;
  ASSERT_TRUE(other.Parse({"--version"}).ok());
  EXPECT_EQ(other.outcome.text, "prog, version 1.2\n");
}

TEST_F(FlagsTest, AnIgnoredFlagIsReported) {
  ASSERT_TRUE(Parse({"--old.flag=3"}).ok());
  EXPECT_EQ(flags.ignored(), std::vector<std::string>{"old.flag"});
}

TEST_F(FlagsTest, AllShowsCurrentValues) {
  ASSERT_TRUE(Parse({"--storage.size=2048", "--storage.tsdb.retention.time=90m"}).ok());
  std::string text;
  for (const auto& [name, value] : flags.All()) text += name + "=" + value + " ";
  EXPECT_EQ(text,
            "collector.cpu=true config.file=a.yml flags.file= log.level=info n=1 storage.size=2KB "
            "storage.tsdb.retention.time=1h30m target=default ");
}

}  // namespace
}  // namespace vedette::flags
