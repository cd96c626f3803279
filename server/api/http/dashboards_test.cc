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

Call Bringing(const std::string& body) {
  Call call;
  call.body = body;
  return call;
}

TEST_F(DashboardsTest, WhatIsSentIsKeptByteForByte) {
  const DashboardsDoor door(dir_);
  const std::string board =
      R"({ "uid":"up_1",  "title" : "Up \"}\" ", "x":[{"a":"]"}], "panels":[] })";
  const Reply made = door.Save(
      Bringing("{\"overwrite\": false, \"dashboard\" : " + board + " , \"message\":\"\"}"));
  EXPECT_EQ(made.status, 200) << made.body;
  EXPECT_NE(made.body.find("\"uid\":\"up_1\""), std::string::npos);
  EXPECT_EQ(door.Raw(Asking("up_1")).body, board);
  EXPECT_EQ(door.Save(Bringing("{\"dashboard\":" + board + "}")).status, 412);
  EXPECT_EQ(door.Save(Bringing("{\"dashboard\":" + board + ",\"overwrite\":true}")).status, 200);
}

TEST_F(DashboardsTest, ASecondSaveGoesToTheFileThatIsThere) {
  Write("team/own-name.json", R"({"uid":"u", "title":"A", "panels":[]})");
  const DashboardsDoor door(dir_);
  EXPECT_EQ(
      door.Save(Bringing(R"({"dashboard":{"uid":"u","title":"B","panels":[]},"overwrite":true})"))
          .status,
      200);
  EXPECT_EQ(door.Raw(Asking("u")).body, R"({"uid":"u","title":"B","panels":[]})");
  EXPECT_FALSE(std::filesystem::exists(dir_ + "/u.json"));
}

// Grafana's newer files are resources: around what they always were, or around a schema of its own.
TEST_F(DashboardsTest, ResourcesAreKnownByTheirNameAndTheSchemaAfterPanels) {
  Write("old.json",
        R"({"apiVersion":"dashboard.grafana.app/v1beta1","kind":"Dashboard","metadata":{"name":"r1"},)"
        R"("spec":{"title":"One","tags":["a"],"panels":[]}})");
  Write("new.json",
        R"({"apiVersion":"dashboard.grafana.app/v2","kind":"Dashboard","metadata":{"name":"r2"},)"
        R"("spec":{"title":"Two","elements":{},"layout":{"kind":"GridLayout"}}})");
  Write("bare.json", R"({"title":"Three","elements":{},"layout":{}})");
  Write("no.json", R"({"kind":"Folder","metadata":{"name":"r4"},"spec":{"title":"Four"}})");
  const DashboardsDoor door(dir_);
  EXPECT_EQ(door.Raw(Asking("r1")).status, 200);
  EXPECT_NE(door.ByUid(Asking("r2")).body.find("\"slug\":\"two\""), std::string::npos);
  EXPECT_EQ(door.Raw(Asking("bare")).status, 200);
  EXPECT_EQ(door.Raw(Asking("r4")).status, 404);
  const std::string sent = R"({"metadata":{"name":"r5"},"spec":{"title":"5","elements":{},"layout":{}}})";
  EXPECT_EQ(door.Save(Bringing("{\"dashboard\":" + sent + "}")).status, 200);
  EXPECT_EQ(door.Raw(Asking("r5")).body, sent);
}

TEST_F(DashboardsTest, PutTakesTheDashboardItselfAndDeleteTakesItAway) {
  Write("team/own-name.json", R"({"uid":"u", "title":"A", "panels":[]})");
  const DashboardsDoor door(dir_);
  const auto put = [&](const std::string& uid, const std::string& body) {
    Call call = Asking(uid);
    call.body = body;
    return door.Put(call).status;
  };
  const std::string board = R"({ "uid":"u","title":"B",  "panels":[] })";
  EXPECT_EQ(put("u", board), 200);
  EXPECT_EQ(door.Raw(Asking("u")).body, board);
  EXPECT_FALSE(std::filesystem::exists(dir_ + "/u.json"));
  EXPECT_EQ(put("new", R"({"title":"N","rows":[]})"), 200);
  EXPECT_EQ(door.ByUid(Asking("new")).status, 200);
  for (const char* body : {"", "[]", "{}", R"({"uid":"other","panels":[]})"}) {
    EXPECT_EQ(put("u", body), 400) << body;
  }
  EXPECT_EQ(put("../u", R"({"panels":[]})"), 400);

  EXPECT_EQ(door.Delete(Asking("b")).status, 404);  // The slug of "u" is no uid.
  EXPECT_EQ(door.Delete(Asking("../own-name")).status, 404);
  const Reply gone = door.Delete(Asking("u"));
  EXPECT_EQ(gone.status, 200);
  EXPECT_EQ(gone.body, R"({"title":"B","message":"Dashboard B deleted","uid":"u"})");
  EXPECT_EQ(door.Raw(Asking("u")).status, 404);
  EXPECT_FALSE(std::filesystem::exists(dir_ + "/team/own-name.json"));
  EXPECT_EQ(door.Delete(Asking("u")).status, 404);
}

TEST_F(DashboardsTest, WhatIsNoDashboardOrLeavesTheDirectoryIsRefused) {
  const DashboardsDoor door(dir_);
  for (const char* body :
       {"", "[]", "{}", "{\"dashboard\":1}", "{\"dashboard\":{}}",
        R"({"dashboard":{"uid":"../x","panels":[]}})", R"({"dashboard":{"uid":"a/b","panels":[]}})",
        R"({"dashboard":{"panels":[]}})"}) {
    EXPECT_EQ(door.Save(Bringing(body)).status, 400) << body;
  }
  EXPECT_EQ(DashboardsDoor("").Save(Bringing("{}")).status, 404);
}

TEST_F(DashboardsTest, AnOldAddressFindsItsDashboardByTheSlug) {
  Write("x.json", R"({"uid":"q", "title":"Node Exporter Full", "panels":[]})");
  EXPECT_EQ(DashboardsDoor(dir_).ByUid(Asking("node-exporter-full")).status, 200);
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
