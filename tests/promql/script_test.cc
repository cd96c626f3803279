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

EngineOptions OptionsOf(const std::filesystem::path& script) {
  EngineOptions o = ScriptOptions();
  if (script.stem() == "type_and_unit") o.type_and_unit_labels = true;
  if (script.stem() == "start_timestamps") o.start_timestamps = true;
  return o;
}

TEST(Scripts, OurOwnPass) {
  const std::vector<std::filesystem::path> scripts = ScriptsIn("tests/promql/scripts");
  ASSERT_FALSE(scripts.empty());
  for (const auto& path : scripts) {
    const ScriptOutcome outcome = RunScript(ReadFile(path), OptionsOf(path));
    EXPECT_GT(outcome.passed, 0) << path;
    for (const std::string& failure : outcome.failures) ADD_FAILURE() << path << ": " << failure;
  }
}

// The same with a helper that takes every other series: nothing may differ.
TEST(Scripts, OurOwnPassOnTwoThreads) {
  for (const auto& path : ScriptsIn("tests/promql/scripts")) {
    EngineOptions options = OptionsOf(path);
    options.helpers = 1;
    options.divide_from = 0;
    const ScriptOutcome outcome = RunScript(ReadFile(path), options);
    for (const std::string& failure : outcome.failures) ADD_FAILURE() << path << ": " << failure;
  }
}

// The peer's own language tests, where they are at hand: VEDETTE_CONFORMANCE names the folder that
// holds promqltest/.
TEST(Scripts, PeersOwnPass) {
  const char* folder = std::getenv("VEDETTE_CONFORMANCE");
  if (folder == nullptr || *folder == 0) GTEST_SKIP() << "VEDETTE_CONFORMANCE is not set";
  int passed = 0;
  int failed = 0;
  for (const auto& path : ScriptsIn(std::filesystem::path(folder) / "promqltest")) {
    EngineOptions options = OptionsOf(path);
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
