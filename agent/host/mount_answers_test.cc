#include "agent/host/mount_answers.h"

#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "tests/support/fake_clock.h"

namespace vedette::agent {
namespace {

// Mounts whose path is in `dead` answer once they are taken out of it; others at once, a bad one with
// an error.
class Disk {
 public:
  MountAnswers::Ask ask() {
    return [this](const std::string& path, struct statvfs* out) {
      MutexLock lock(mu_);
      ++asked_;
      while (dead_.contains(path)) changed_.Wait(mu_);
      out->f_blocks = blocks_;
      ++answered_;
      changed_.NotifyAll();
      return path == "/bad" ? -1 : 0;
    };
  }
  void Die(const std::string& path) {
    MutexLock lock(mu_);
    dead_.insert(path);
  }
  void Revive(const std::string& path, unsigned long blocks) {
    MutexLock lock(mu_);
    dead_.erase(path);
    blocks_ = blocks;
    changed_.NotifyAll();
  }
  int asked() {
    MutexLock lock(mu_);
    return asked_;
  }
  void WaitAnswered(int count) {
    MutexLock lock(mu_);
    while (answered_ < count) changed_.Wait(mu_);
  }

 private:
  Mutex mu_;
  CondVar changed_;
  std::set<std::string> dead_ VEDETTE_GUARDED_BY(mu_);
  unsigned long blocks_ VEDETTE_GUARDED_BY(mu_) = 7;
  int asked_ VEDETTE_GUARDED_BY(mu_) = 0;
  int answered_ VEDETTE_GUARDED_BY(mu_) = 0;
};

// Asks until the answer to the one path is (not) good: the thread that brings it needs its moment.
bool Becomes(MountAnswers& answers, bool good) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (std::chrono::steady_clock::now() < end) {
    if (answers.Get({"/a"})[0].good == good) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

TEST(MountAnswers, DeadMountsCostOneWaitAndNobodyElse) {
  static Disk& disk = *new Disk;  // A thread may use both after the test.
  static auto& clock = *new testing::FakeClock;
  for (const char* path : {"/dead1", "/dead2", "/dead3"}) disk.Die(path);
  MountAnswers answers(5'000, disk.ask(), clock);
  const std::vector<std::string> paths = {"/dead1", "/dead2", "/a", "/bad", "/dead3"};
  for (int i = 0; i < 3; ++i) {
    const auto got = answers.Get(paths);
    ASSERT_EQ(got.size(), 5u);
    EXPECT_FALSE(got[0].good || got[1].good || got[3].good || got[4].good);
    EXPECT_TRUE(got[2].good);
    EXPECT_EQ(got[2].fs.f_blocks, 7u);
  }
  EXPECT_EQ(disk.asked(), 3 + 2 * 3);  // A dead one is not asked again.
  for (const char* path : {"/dead1", "/dead2", "/dead3"}) disk.Revive(path, 7);
  disk.WaitAnswered(9);
}

TEST(MountAnswers, WhatItSaidLastStandsForTheTimeout) {
  static Disk& disk = *new Disk;  // A thread may use both after the test.
  static auto& clock = *new testing::FakeClock;
  MountAnswers answers(5'000, disk.ask(), clock);
  ASSERT_TRUE(answers.Get({"/a"})[0].good);
  disk.Die("/a");
  EXPECT_TRUE(answers.Get({"/a"})[0].good);
  clock.Advance(4'999);
  EXPECT_TRUE(answers.Get({"/a"})[0].good);
  clock.Advance(1);
  EXPECT_FALSE(answers.Get({"/a"})[0].good);
  EXPECT_EQ(disk.asked(), 2);
  disk.Revive("/a", 8);
  ASSERT_TRUE(Becomes(answers, true));
  EXPECT_EQ(answers.Get({"/a"})[0].fs.f_blocks, 8u);
}

TEST(MountAnswers, ALateAnswerIsTheNextCollections) {
  static Disk& disk = *new Disk;  // A thread may use both after the test.
  static auto& clock = *new testing::FakeClock;
  disk.Die("/a");
  MountAnswers answers(5'000, disk.ask(), clock);
  EXPECT_FALSE(answers.Get({"/a"})[0].good);
  clock.Advance(3'000);
  disk.Revive("/a", 9);
  ASSERT_TRUE(Becomes(answers, true));
}

TEST(MountAnswers, TheRealOne) {
  MountAnswers answers(5'000);
  const auto got = answers.Get({"/", "/nowhere"});
  EXPECT_TRUE(got[0].good);
  EXPECT_GT(got[0].fs.f_frsize, 0u);
  EXPECT_FALSE(got[1].good);
  EXPECT_TRUE(answers.Get({}).empty());
}

}  // namespace
}  // namespace vedette::agent
