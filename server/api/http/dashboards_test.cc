#include "server/api/http/dashboards.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"

namespace vedette::api {
namespace {

class DashboardsTest : public testing::Test {
 protected:
  DashboardsTest() : dir_(testing::TempDir() + "/dashboards") {
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_ + "/team");
  }

  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(dir_ + "/" + name, std::ios::binary) << text;
  }

  static Call Asking(const std::string& uid) {
    Call call;
    call.path_params = {{"uid", uid}};
    return call;
  }

  std::string dir_;
};

constexpr char kHost[] =
    "{ \"title\": \"Host <b>\", \"uid\": \"h1\",\n \"tags\": [\"a\"], \"panels\": [], \"x\": 1e2 "
    "}\n";

TEST_F(DashboardsTest, TheFileComesBackByteForByte) {
  Write("host.json", kHost);
  const DashboardsDoor door(dir_);
  EXPECT_EQ(door.Raw(Asking("h1")).body, kHost);
  const Reply whole = door.ByUid(Asking("h1"));
  EXPECT_EQ(whole.status, 200);
  EXPECT_NE(whole.body.find("\"slug\":\"host-b\""), std::string::npos) << whole.body;
  EXPECT_NE(whole.body.find(kHost), std::string::npos);
}

TEST_F(DashboardsTest, AFileWithoutUidIsCalledLikeTheFile) {
  Write("team/noname.json", R"({"rows": []})");
  const DashboardsDoor door(dir_);
  EXPECT_EQ(door.ByUid(Asking("noname")).status, 200);
  const Reply search = door.Search({});
  EXPECT_NE(search.body.find("\"folderTitle\":\"team\""), std::string::npos) << search.body;
}

TEST_F(DashboardsTest, ChangesOnDiskShowAtTheNextRequest) {
  const DashboardsDoor door(dir_);
  EXPECT_EQ(door.Search({}).body, "[]");
  Write("a.json", R"({"uid":"a","title":"One","panels":[]})");
  EXPECT_NE(door.Search({}).body.find("One"), std::string::npos);
  Write("a.json", R"({"uid":"a","title":"Another","panels":[]})");
  EXPECT_NE(door.Search({}).body.find("Another"), std::string::npos);
  std::filesystem::remove(dir_ + "/a.json");
  EXPECT_EQ(door.Search({}).body, "[]");
}

TEST_F(DashboardsTest, WhatIsNoDashboardIsNamedAndDoesNotHideTheRest) {
  Write("bad.json", "{");
  Write("list.json", "[1]");
  Write("good.json", R"({"uid":"g","title":"Good","panels":[]})");
  const DashboardsDoor door(dir_);
  const Reply search = door.Search({});
  EXPECT_NE(search.body.find("Good"), std::string::npos);
  ASSERT_EQ(search.headers.size(), 2u);
  EXPECT_NE(search.headers[0].second.find("bad.json: not JSON"), std::string::npos);
  const Reply missing = door.ByUid(Asking("bad"));
  EXPECT_EQ(missing.status, 404);
  EXPECT_NE(missing.body.find("not JSON"), std::string::npos) << missing.body;
}

TEST_F(DashboardsTest, NoPathLeavesTheDirectory) {
  Write("../secret.json", R"({"uid":"s","title":"S","panels":[]})");
  const DashboardsDoor door(dir_);
  EXPECT_EQ(door.Raw(Asking("../secret")).status, 404);
  EXPECT_EQ(door.Raw(Asking("s")).status, 404);
}

TEST_F(DashboardsTest, SearchFiltersByWordTagAndLimit) {
  Write("a.json", R"({"uid":"a","title":"Alpha","tags":["x"],"panels":[]})");
  Write("b.json", R"({"uid":"b","title":"Beta","tags":["x","y"],"panels":[]})");
  const DashboardsDoor door(dir_);
  Call call;
  call.params = {{"query", "BET"}};
  EXPECT_EQ(door.Search(call).body.find("Alpha"), std::string::npos);
  call.params = {{"tag", "y"}};
  EXPECT_EQ(door.Search(call).body.find("Alpha"), std::string::npos);
  call.params = {{"limit", "1"}};
  EXPECT_EQ(door.Search(call).body.find("Beta"), std::string::npos);
}

}  // namespace
}  // namespace vedette::api
