#include "server/memory_limit.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace vedette {
namespace {

void Put(const std::string& path, std::string_view text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path) << text;
}

TEST(MemoryLimit, TheSmallestBoundOfTheControlGroupsAboveCounts) {
  const testing::TempDir dir;
  const std::string root = dir.path();
  Put(root + "/proc/self/cgroup", "0::/system.slice/vedette.service\n");
  Put(root + "/sys/fs/cgroup/system.slice/vedette.service/memory.max", "max\n");
  Put(root + "/sys/fs/cgroup/system.slice/memory.max", "1000000000\n");
  EXPECT_EQ(MemoryLimit(0, SystemClock(), root).limit_bytes(), 900'000'000);
  EXPECT_EQ(MemoryLimit(5000, SystemClock(), root).limit_bytes(), 5000);
}

TEST(MemoryLimit, WithoutABoundNothingIsRefused) {
  const testing::TempDir dir;
  MemoryLimit limit(0, SystemClock(), dir.path());
  EXPECT_EQ(limit.limit_bytes(), 0);
  EXPECT_TRUE(limit.Left().ok());
}

TEST(MemoryLimit, QueriesAreRefusedAboveItAndTakenAgainBelow) {
  const testing::TempDir dir;
  const std::string root = dir.path();
  Put(root + "/proc/self/statm", "5000 3000 1000 1 0 1 0\n");
  testing::FakeClock clock(0);
  MemoryLimit limit(1 << 20, clock, root);
  const Status refused = limit.Left();
  EXPECT_EQ(refused.code(), StatusCode::kUnavailable);
  EXPECT_NE(refused.message().find("--memory.limit"), std::string::npos) << refused.message();
  EXPECT_EQ(limit.refused(), 1u);
  Put(root + "/proc/self/statm", "5000 1100 1000 1 0 1 0\n");
  clock.Advance(1000);
  EXPECT_TRUE(limit.Left().ok());
}

}  // namespace
}  // namespace vedette
