#include "tests/promql/script.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

namespace vedette::promql {
namespace {

// So many evals of the peer's tests passed when this was last looked at.
constexpr int kExpectedPasses = 1536;

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::vector<std::filesystem::path> ScriptsIn(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> out;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".test") out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

TEST(Scripts, OurOwnPass) {
  const std::vector<std::filesystem::path> scripts = ScriptsIn("tests/promql/scripts");
  ASSERT_FALSE(scripts.empty());
  for (const auto& path : scripts) {
    const ScriptOutcome outcome = RunScript(ReadFile(path), ScriptOptions());
    EXPECT_GT(outcome.passed, 0) << path;
    for (const std::string& failure : outcome.failures) ADD_FAILURE() << path << ": " << failure;
  }
}

// The same with a helper that takes every other series: nothing may differ.
TEST(Scripts, OurOwnPassOnTwoThreads) {
  for (const auto& path : ScriptsIn("tests/promql/scripts")) {
    EngineOptions options = ScriptOptions();
    options.helpers = 1;
    options.divide_from = 0;
    const ScriptOutcome outcome = RunScript(ReadFile(path), options);
    for (const std::string& failure : outcome.failures) ADD_FAILURE() << path << ": " << failure;
  }
}

// Without delayed name removal, which the scripts have on, a name goes where it is dropped. Series that
// are then the same are one, as long as they never meet.
TEST(Scripts, NamesGoAtOnceWithoutTheDelay) {
  EngineOptions options = ScriptOptions();
  options.delayed_name_removal = false;
  const ScriptOutcome outcome = RunScript(R"(
load 1m
    before  1 2 stale _
    after   _ _ 3 4
    both_a  1 1 1 1
    both_b  2 2 2 2

eval range from 0m to 3m step 1m -{__name__=~"before|after"}
    {} -1 -2 -3 -4

eval range from 0m to 3m step 1m {__name__=~"before|after"} * 2
    {} 2 4 6 8

eval range from 0m to 3m step 1m abs({__name__=~"before|after"})
    {} 1 2 3 4

eval range from 0m to 3m step 1m -{__name__=~"both_a|both_b"}
    expect fail msg: vector cannot contain metrics with the same labelset
)", options);
  EXPECT_EQ(outcome.passed, 4);
  for (const std::string& failure : outcome.failures) ADD_FAILURE() << failure;
}

// The peer's own language tests, where they are at hand, all with one and the same configuration:
// VEDETTE_CONFORMANCE names the folder that holds promqltest/.
TEST(Scripts, PeersOwnPass) {
  const char* folder = std::getenv("VEDETTE_CONFORMANCE");
  if (folder == nullptr || *folder == 0) GTEST_SKIP() << "VEDETTE_CONFORMANCE is not set";
  int passed = 0;
  int failed = 0;
  for (const auto& path : ScriptsIn(std::filesystem::path(folder) / "promqltest")) {
    EngineOptions options = ScriptOptions();
    const ScriptOutcome outcome = RunScript(ReadFile(path), options);
    options.helpers = 1;
    options.divide_from = 0;
    EXPECT_EQ(RunScript(ReadFile(path), options).failures, outcome.failures) << "on two threads";
    passed += outcome.passed;
    failed += outcome.failed;
    std::cout << path.stem().string() << ": " << outcome.passed << " passed, " << outcome.failed
              << " failed\n";
    for (const std::string& failure : outcome.failures) std::cout << "    " << failure << "\n";
  }
  std::cout << "total: " << passed << " passed, " << failed << " failed\n";
  EXPECT_GE(passed, kExpectedPasses);
}

}  // namespace
}  // namespace vedette::promql
