#include "agent/container/group_watch.h"

#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "agent/container/container.h"
#include "agent/container/layer_usage.h"
#include "common/base/strings.h"
#include "tests/support/temp_dir.h"

namespace vedette::agent {
namespace {

const std::string kId(64, 'a');

void Write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

// A tree of version 2, as far as the reader looks.
class Tree {
 public:
  Tree() { Write(dir_.path() + "/cgroup.controllers", "cpu memory\n"); }

  // A runtime makes a group's folder first, and the kernel its files.
  void Make(const std::string& group, const std::string& usec) {
    std::filesystem::create_directories(dir_.path() + group);
    Write(dir_.path() + group + "/cpu.stat", "usage_usec " + usec + "\n");
  }
  void Remove(const std::string& group) { std::filesystem::remove_all(dir_.path() + group); }
  const std::string& path() const { return dir_.path(); }

 private:
  vedette::testing::TempDir dir_;
};

bool IsContainer(std::string_view id) { return !ContainerIdOf(id).empty(); }

// Waits, long, for what a thread does in its own time.
template <typename Condition>
bool Eventually(Condition condition) {
  for (int i = 0; i < 1200; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(25));
  }
  return false;
}

TEST(GroupWatch, AContainerThatComesAndGoesLeavesItsLastValues) {
  Tree tree;
  tree.Make("/system.slice", "1");
  const CgroupReader reader(tree.path(), "/proc");
  std::atomic<int> born{0};
  GroupWatch watch(reader, {.wanted = IsContainer, .born = [&] { ++born; }});
  const std::string group = StrCat("/system.slice/docker-", kId, ".scope");
  std::vector<GroupWatch::Gone> gone;
  // The watch needs a moment to stand, and one to read the group: it comes and goes until it was seen.
  ASSERT_TRUE(Eventually([&] {
    const int before = born;
    tree.Make(group, "7000000");
    for (int i = 0; i < 20 && born == before; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    tree.Remove(group);
    // It stays away until the watch has had time to miss it.
    for (int i = 0; i < 100 && gone.empty(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      gone = watch.TakeGone();
      // The kernel makes a group with its files in one step, and this tree does not: read in between,
      // it has no values.
      std::erase_if(gone, [](const GroupWatch::Gone& g) { return g.stats.cpu_usage_seconds.empty(); });
    }
    return !gone.empty();
  }));
  EXPECT_EQ(gone[0].stats.id, group);
  EXPECT_EQ(gone[0].stats.cpu_usage_seconds.at("total"), 7);
  EXPECT_GT(gone[0].seen_ms, 0);
  // Another scraper that asks soon after sees it as well.
  EXPECT_FALSE(watch.TakeGone().empty());
}

TEST(GroupWatch, SlicesAndServicesAreNotWatched) {
  Tree tree;
  const CgroupReader reader(tree.path(), "/proc");
  GroupWatch watch(reader, {.wanted = IsContainer});
  tree.Make("/user.slice", "1");
  tree.Remove("/user.slice");
  EXPECT_TRUE(watch.TakeGone().empty());
}

TEST(CgroupReader, AGroupThatIsNotThereHasNoValues) {
  Tree tree;
  const CgroupReader reader(tree.path(), "/proc");
  EXPECT_FALSE(reader.ReadOne("/nowhere").has_value());
  tree.Make("/a.slice/b.service", "1500000");
  const auto one = reader.ReadOne("/a.slice/b.service");
  ASSERT_TRUE(one.has_value());
  EXPECT_EQ(one->cpu_usage_seconds.at("total"), 1.5);
}

TEST(LayerUsage, AFileWithTwoNamesCountsOnce) {
  vedette::testing::TempDir dir;
  std::filesystem::create_directories(dir.path() + "/layer/etc");
  Write(dir.path() + "/layer/etc/big", std::string(1 << 20, 'x'));
  const LayerUsage one = LayerUsageScanner::Count(dir.path() + "/layer");
  EXPECT_GE(one.bytes, 1 << 20);
  EXPECT_EQ(one.inodes, 3);
  std::filesystem::create_hard_link(dir.path() + "/layer/etc/big", dir.path() + "/layer/same");
  const LayerUsage two = LayerUsageScanner::Count(dir.path() + "/layer");
  EXPECT_EQ(two.inodes, 3);
  EXPECT_EQ(LayerUsageScanner::Count(dir.path() + "/nowhere").inodes, 0);
}

TEST(LayerUsage, TheScannerCountsWhatIsNewAtOnce) {
  vedette::testing::TempDir dir;
  Write(dir.path() + "/f", "x");
  LayerUsageScanner scanner;
  scanner.Watch({{"a", {dir.path()}}});
  ASSERT_TRUE(Eventually([&] { return scanner.Usage().contains("a"); }));
  EXPECT_EQ(scanner.Usage()["a"].inodes, 2);
  scanner.Watch({});
  EXPECT_TRUE(scanner.Usage().empty());
}

}  // namespace
}  // namespace vedette::agent
