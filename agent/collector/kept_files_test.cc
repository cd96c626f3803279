#include "agent/collector/kept_files.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace vedette::agent {
namespace {

TEST(KeptFiles, AKernelsFileIsOpenedOnceAndReadAnew) {
  KeptFiles files;
  std::string first;
  ASSERT_EQ(files.Read("/proc/uptime", first), 0);
  EXPECT_EQ(files.kept(), 1u);
  std::string second = first;
  // It counts hundredths of a second; reading it is faster than that, and what is read at the same
  // moment is the same, so until it moves.
  while (second == first) ASSERT_EQ(files.Read("/proc/uptime", second), 0);
  EXPECT_EQ(files.kept(), 1u);
}

std::string FreshUptime() {
  std::ifstream in("/proc/uptime");
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(KeptFiles, WhoReadsAtTheSameMomentReadsTheSame) {
  vedette::testing::FakeClock clock;
  KeptFiles files(clock);
  std::string first, second, third;
  ASSERT_EQ(files.Read("/proc/uptime", first), 0);
  // Only now it is known that there are several readers.
  ASSERT_EQ(files.Read("/proc/uptime", second), 0);
  while (FreshUptime() == second) {
  }
  ASSERT_EQ(files.Read("/proc/uptime", third), 0);
  EXPECT_EQ(third, second);
  clock.Advance(KeptFiles::kMomentNs / 1'000'000);
  ASSERT_EQ(files.Read("/proc/uptime", third), 0);
  EXPECT_NE(third, second);
  // The second reader of the next moment reads nothing.
  while (FreshUptime() == third) {
  }
  ASSERT_EQ(files.Read("/proc/uptime", first), 0);
  EXPECT_EQ(first, third);
}

// Lines of different lengths, of which the kernel hands out as many as a page holds.
TEST(KeptFiles, ALongFileIsReadToItsEnd) {
  KeptFiles files;
  for (const char* path : {"/proc/kallsyms", "/proc/self/mountinfo", "/proc/vmstat", "/proc/config.gz",
                           "/proc/crypto", "/proc/devices", "/proc/stat", "/proc/meminfo",
                           "/proc/net/snmp", "/proc/net/snmp6", "/proc/net/netstat"}) {
    SCOPED_TRACE(path);
    std::ifstream in(path, std::ios::binary);
    if (!in) continue;
    const std::string whole(std::istreambuf_iterator<char>(in), {});
    std::string text;
    for (int i = 0; i < 2; ++i) {
      ASSERT_EQ(files.Read(path, text), 0);
      const bool moves = std::string_view(path) == "/proc/vmstat" ||
                         std::string_view(path) == "/proc/stat" ||
                         std::string_view(path) == "/proc/meminfo" ||
                         std::string_view(path).starts_with("/proc/net/");
      if (!moves) {
        EXPECT_EQ(text, whole);
      }
      EXPECT_EQ(std::ranges::count(text, '\n'), std::ranges::count(whole, '\n'));
      EXPECT_NEAR(static_cast<double>(text.size()), static_cast<double>(whole.size()), 200);
    }
  }
}

// Another file may take its name at any time.
TEST(KeptFiles, PlainFilesAreNotKept) {
  vedette::testing::TempDir dir;
  const std::string path = dir.path() + "/a";
  std::ofstream(path) << "one";
  KeptFiles files;
  std::string text;
  ASSERT_EQ(files.Read(path, text), 0);
  EXPECT_EQ(text, "one");
  EXPECT_EQ(files.kept(), 0u);
  std::ofstream(path + ".new") << "two";
  ASSERT_EQ(std::rename((path + ".new").c_str(), path.c_str()), 0);
  ASSERT_EQ(files.Read(path, text), 0);
  EXPECT_EQ(text, "two");
}

TEST(KeptFiles, WhatIsNotThereSaysSo) {
  vedette::testing::TempDir dir;
  KeptFiles files;
  std::string text = "old";
  EXPECT_EQ(files.Read("/proc/nowhere", text), ENOENT);
  EXPECT_EQ(text, "");
  EXPECT_EQ(files.Read("/proc/nowhere", text), ENOENT);
  EXPECT_EQ(files.Read("/nowhere/at/all", text), ENOENT);
  EXPECT_EQ(files.Read(dir.path(), text), EISDIR);
  EXPECT_EQ(files.kept(), 0u);
  // Outside the kernel's folders it may come at any time.
  const std::string late = dir.path() + "/late";
  EXPECT_EQ(files.Read(late, text), ENOENT);
  std::ofstream(late) << "here";
  EXPECT_EQ(files.Read(late, text), 0);
  EXPECT_EQ(text, "here");
}

// A process's files hold on to what it leaves behind, such as its network.
TEST(KeptFiles, FilesOfProcessesAreNotKept) {
  KeptFiles files;
  std::string text;
  const std::string pid = std::to_string(getpid());
  ASSERT_EQ(files.Read("/proc/" + pid + "/stat", text), 0);
  EXPECT_TRUE(text.starts_with(pid + " ")) << text;
  EXPECT_EQ(files.kept(), 0u);
  // The first process outlives everybody.
  ASSERT_EQ(files.Read("/proc/1/stat", text), 0);
  EXPECT_TRUE(text.starts_with("1 ")) << text;
  EXPECT_EQ(files.kept(), 1u);
}

TEST(KeptFiles, AFolderIsListedAnewEachTime) {
  vedette::testing::TempDir dir;
  KeptFiles files;
  EXPECT_TRUE(files.List(dir.path()).empty());
  for (int i = 0; i < 3'000; ++i) std::ofstream(dir.path() + "/file" + std::to_string(i)).put('x');
  std::filesystem::create_directory(dir.path() + "/folder");
  EXPECT_EQ(files.List(dir.path()).size(), 3'001u);
  EXPECT_EQ(files.List(dir.path(), true), std::vector<std::string>{"folder"});
  EXPECT_TRUE(files.List(dir.path() + "/nowhere").empty());
  EXPECT_EQ(files.kept(), 0u);
  // A kernel's folder is kept, and says the same as a fresh look.
  for (int i = 0; i < 3; ++i) {
    std::vector<std::string> names = files.List("/sys/class");
    std::ranges::sort(names);
    std::vector<std::string> want;
    for (const auto& entry : std::filesystem::directory_iterator("/sys/class")) {
      want.push_back(entry.path().filename().string());
    }
    std::ranges::sort(want);
    EXPECT_EQ(names, want);
  }
  EXPECT_EQ(files.kept(), 1u);
}

}  // namespace
}  // namespace vedette::agent
