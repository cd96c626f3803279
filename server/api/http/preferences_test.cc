#include "server/api/http/preferences.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"

namespace vedette::api {
namespace {

constexpr char kProfile[] = "abcdefghij0123456789";

class PreferencesTest : public testing::Test {
 protected:
  PreferencesTest() : dir_(testing::TempDir() + "/preferences") {
    std::filesystem::remove_all(dir_);
  }

  static Call Asking(const std::string& profile, std::string_view body = "") {
    Call call;
    call.params = {{"profile", profile}};
    call.body = body;
    return call;
  }

  std::string dir_;
};

TEST_F(PreferencesTest, WhatABrowserKeepsComesBack) {
  const PreferencesDoor door(dir_);
  EXPECT_EQ(door.Read(Asking(kProfile), "").body, R"({"status":"success","data":{}})");
  EXPECT_EQ(door.Write(Asking(kProfile, R"({"theme":"light"})"), "").status, 200);
  EXPECT_EQ(door.Read(Asking(kProfile), "").body,
            R"({"status":"success","data":{"theme":"light"}})");
  EXPECT_EQ(door.Read(Asking("zzzzzzzzzzzzzzzzzzzz"), "").body,
            R"({"status":"success","data":{}})");
}

TEST_F(PreferencesTest, AUserIsTheSameInEveryBrowser) {
  const PreferencesDoor door(dir_);
  ASSERT_EQ(door.Write(Asking(kProfile, R"({"theme":"dark"})"), "../eve/..").status, 200);
  EXPECT_EQ(door.Read(Asking("other"), "../eve/..").body,
            R"({"status":"success","data":{"theme":"dark"}})");
  EXPECT_EQ(door.Read(Asking(kProfile), "adam").body, R"({"status":"success","data":{}})");
  // Nothing was written elsewhere.
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_)) {
    EXPECT_EQ(entry.path().parent_path(), dir_) << entry.path();
  }
}

TEST_F(PreferencesTest, WhatIsNoIdOrNoObjectIsRefused) {
  const PreferencesDoor door(dir_);
  for (const char* profile : {"", "short", "../../../../etc/passwd", "abcdefghij 0123456789"}) {
    EXPECT_EQ(door.Write(Asking(profile, "{}"), "").status, 400) << profile;
    EXPECT_EQ(door.Read(Asking(profile), "").status, 400) << profile;
  }
  for (const char* body : {"", "[]", "{", "1"}) {
    EXPECT_EQ(door.Write(Asking(kProfile, body), "").status, 400) << body;
  }
  const std::string large = R"({"a":")" + std::string(kMaxPreferenceBytes, 'x') + R"("})";
  EXPECT_EQ(door.Write(Asking(kProfile, large), "").status, 400);
  EXPECT_EQ(door.Write(Asking(kProfile, "{}"), std::string(101, 'u')).status, 400);
  EXPECT_FALSE(std::filesystem::exists(dir_));
}

TEST_F(PreferencesTest, TheOldestMakesRoom) {
  const PreferencesDoor door(dir_);
  std::filesystem::create_directories(dir_);
  for (size_t i = 0; i < kMaxPreferenceFiles; ++i) {
    std::ofstream(dir_ + "/browser-" + std::to_string(i) + ".json") << "{}";
  }
  const std::string oldest = dir_ + "/browser-7.json";
  std::filesystem::last_write_time(
      oldest, std::filesystem::last_write_time(oldest) - std::chrono::hours(1));
  ASSERT_EQ(door.Write(Asking(kProfile, "{}"), "").status, 200);
  EXPECT_FALSE(std::filesystem::exists(oldest));
  EXPECT_TRUE(std::filesystem::exists(dir_ + "/browser-8.json"));
}

TEST_F(PreferencesTest, AFileThatIsNotOursReadsAsNothing) {
  const PreferencesDoor door(dir_);
  std::filesystem::create_directories(dir_);
  std::ofstream(dir_ + "/browser-" + kProfile + ".json") << "{\"theme\":";
  EXPECT_EQ(door.Read(Asking(kProfile), "").body, R"({"status":"success","data":{}})");
}

}  // namespace
}  // namespace vedette::api
