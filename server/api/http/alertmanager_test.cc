#include "server/api/http/alertmanager.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "common/base/strings.h"
#include "common/config/alertmanager.h"
#include "tests/support/fake_clock.h"
#include "tests/support/memory_key_value.h"

namespace vedette::api {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kConfig = R"(
route:
  receiver: team
  group_by: [alertname]
  routes:
    - matchers: [severity="page"]
      receiver: pager
inhibit_rules:
  - source_matchers: [alertname="HostDown"]
    target_matchers: [severity="warning"]
    equal: [instance]
receivers:
  - name: team
  - name: pager
)";

class AlertmanagerDoorTest : public ::testing::Test {
 protected:
  AlertmanagerDoorTest() {
    auto config = config::ParseAlertmanagerConfig(kConfig, "am.yml");
    EXPECT_TRUE(config.ok()) << config.status().ToString();
    std::map<std::string, std::vector<Integration>> receivers = {{"team", {}}, {"pager", {}}};
    EXPECT_TRUE(alerting_.Update(*config, receivers).ok());
  }
  static Call With(std::vector<std::pair<std::string, std::string>> params, std::string body = "") {
    Call call;
    call.params = std::move(params);
    call.body = std::move(body);
    return call;
  }
  static Call Id(const std::string& id) {
    Call call;
    call.path_params = {{"id", id}};
    return call;
  }
  static Json Body(const Reply& reply) { return Json::parse(reply.body); }
  void Post(const std::string& body) {
    const Reply reply = door_.PostAlerts(With({}, body));
    ASSERT_EQ(reply.status, 200) << reply.body;
  }
  std::vector<std::string> Names(std::vector<std::pair<std::string, std::string>> params) {
    std::vector<std::string> out;
    for (const Json& a : Body(door_.Alerts(With(std::move(params))))) {
      out.push_back(a["labels"]["alertname"]);
    }
    std::sort(out.begin(), out.end());
    return out;
  }
  std::string Silence(const std::string& more = "") {
    const Reply reply = door_.PostSilence(With(
        {}, R"({"matchers":[{"name":"alertname","value":"Slow","isRegex":false,"isEqual":true}],)"
            R"("startsAt":"2023-11-14T22:13:20.000Z","endsAt":"2023-11-15T22:13:20Z",)"
            R"("createdBy":"me","comment":"works")" +
                more + "}"));
    EXPECT_EQ(reply.status, 200) << reply.body;
    return Body(reply)["silenceID"];
  }
  static constexpr const char* kThree =
      R"([{"labels":{"alertname":"HostDown","instance":"a"}},)"
      R"({"labels":{"alertname":"Slow","instance":"a","severity":"warning"}},)"
      R"({"labels":{"alertname":"Burning","instance":"b","severity":"page","empty":""},)"
      R"("annotations":{"summary":"hot"},"generatorURL":"http://p/graph",)"
      R"("startsAt":"2023-11-14T22:00:00.5Z"}])";

  testing::FakeClock clock_{1'700'000'000'000};  // 2023-11-14T22:13:20Z
  testing::MemoryKeyValue store_;
  alerting::Alerting alerting_{{}, store_, clock_};
  AlertmanagerDoor door_{alerting_, {.version = "1.2", .start_time_ms = 1'600'000'000'000}, clock_};
};

TEST_F(AlertmanagerDoorTest, StatusHasWhatClientsRequire) {
  const Json status = Body(door_.Status({}));
  EXPECT_EQ(status["cluster"]["status"], "disabled");
  EXPECT_EQ(status["versionInfo"]["version"], "1.2");
  EXPECT_EQ(status["uptime"], "2020-09-13T12:26:40.000Z");
  EXPECT_NE(status["config"]["original"].get<std::string>().find("pager"), std::string::npos);
  EXPECT_EQ(Body(door_.Receivers({})).dump(), R"([{"name":"team"},{"name":"pager"}])");
}

TEST_F(AlertmanagerDoorTest, PostedAlertsAreShownWithTheirState) {
  Post(kThree);
  const Json all = Body(door_.Alerts({}));
  ASSERT_EQ(all.size(), 3u);
  for (const Json& a : all) {
    const std::string name = a["labels"]["alertname"];
    if (name == "Burning") {
      EXPECT_EQ(a["startsAt"], "2023-11-14T22:00:00.500Z");
      EXPECT_EQ(a["endsAt"], "2023-11-14T22:18:20.000Z");
      EXPECT_EQ(a["receivers"].dump(), R"([{"name":"pager"}])");
      EXPECT_EQ(a["status"]["state"], "active");
      EXPECT_FALSE(a["labels"].contains("empty"));
      EXPECT_EQ(a["fingerprint"].get<std::string>().size(), 16u);
    } else if (name == "Slow") {
      EXPECT_EQ(a["status"]["state"], "suppressed");
      EXPECT_EQ(a["status"]["inhibitedBy"].size(), 1u);
    }
  }
  using Names3 = std::vector<std::string>;
  EXPECT_EQ(Names({{"inhibited", "false"}}), (Names3{"Burning", "HostDown"}));
  EXPECT_EQ(Names({{"active", "false"}}), (Names3{"Slow"}));
  EXPECT_EQ(Names({{"receiver", "pag.*"}}), (Names3{"Burning"}));
  EXPECT_EQ(Names({{"filter", "instance=\"a\""}, {"filter", "alertname=~\"H.*\""}}),
            (Names3{"HostDown"}));
  EXPECT_EQ(Names({{"filter", "severity=\"\""}}), (Names3{"HostDown"}));
  for (const auto& [name, value] :
       {std::pair("active", "maybe"), std::pair("filter", "{{{"), std::pair("receiver", "(")}) {
    const Reply refused = door_.Alerts(With({{name, value}}));
    EXPECT_EQ(refused.status, 400);
    EXPECT_TRUE(Body(refused).is_string()) << refused.body;
  }
}

TEST_F(AlertmanagerDoorTest, GroupsFollowTheRoutes) {
  Post(kThree);
  const Json groups = Body(door_.Groups({}));
  ASSERT_EQ(groups.size(), 3u);
  EXPECT_EQ(groups[0]["labels"].dump(), R"({"alertname":"Burning"})");
  EXPECT_EQ(groups[0]["receiver"]["name"], "pager");
  EXPECT_EQ(groups[0]["alerts"][0]["annotations"]["summary"], "hot");
  EXPECT_EQ(Body(door_.Groups(With({{"receiver", "team"}}))).size(), 2u);
}

TEST_F(AlertmanagerDoorTest, BadAlertsAreRefusedByName) {
  for (const char* body : {"", "{}", "[1]", "[{}]", R"([{"labels":{"a":1}}])", R"([{"labels":{}}])",
                           R"([{"labels":{"a":"b"},"startsAt":"soon"}])",
                           R"([{"labels":{"a":"b"},"startsAt":"2023-11-14T22:00:00Z",)"
                           R"("endsAt":"2022-11-14T22:00:00Z"}])"}) {
    const Reply reply = door_.PostAlerts(With({}, body));
    EXPECT_EQ(reply.status, 400) << body;
    EXPECT_TRUE(Body(reply).is_string()) << reply.body;
  }
  EXPECT_EQ(Body(door_.Alerts({})).size(), 0u);
}

TEST_F(AlertmanagerDoorTest, ASilenceLives) {
  Post(kThree);
  const std::string id = Silence();
  Json one = Body(door_.Silence(Id(id)));
  EXPECT_EQ(one["status"]["state"], "active");
  EXPECT_EQ(one["matchers"][0]["isEqual"], true);
  EXPECT_EQ(one["endsAt"], "2023-11-15T22:13:20.000Z");
  EXPECT_EQ(Names({{"silenced", "false"}, {"inhibited", "true"}}),
            (std::vector<std::string>{"Burning", "HostDown"}));
  EXPECT_EQ(Body(door_.Silences(With({{"filter", "alertname=Slow"}}))).size(), 1u);
  EXPECT_EQ(Body(door_.Silences(With({{"filter", "alertname=Fast"}}))).size(), 0u);
  EXPECT_EQ(Body(door_.Silences(With({{"active", "false"}}))).size(), 0u);
  EXPECT_EQ(door_.ExpireSilence(Id(id)).status, 200);
  EXPECT_EQ(door_.ExpireSilence(Id(id)).status, 500);
  EXPECT_EQ(door_.ExpireSilence(Id("none")).status, 404);
  EXPECT_EQ(door_.Silence(Id("none")).status, 404);
  EXPECT_EQ(Body(door_.Silence(Id(id)))["status"]["state"], "expired");
}

TEST_F(AlertmanagerDoorTest, BadSilencesAreRefused) {
  const std::string times = R"("startsAt":"2023-11-14T22:13:20Z","endsAt":"2023-11-15T22:13:20Z")";
  const std::string matcher = R"("matchers":[{"name":"a","value":"b","isRegex":false}])";
  for (const std::string& body :
       {std::string("{"), "{" + times + "}", "{" + matcher + "}",
        R"({"matchers":[{"name":"a","value":"(","isRegex":true}],)" + times + "}",
        R"({"matchers":[{"name":"a","value":".*","isRegex":true}],)" + times + "}",
        "{" + matcher + R"(,"startsAt":"2023-11-16T22:13:20Z","endsAt":"2023-11-15T22:13:20Z"})",
        "{" + matcher + R"(,"startsAt":"2023-11-10T22:13:20Z","endsAt":"2023-11-11T22:13:20Z"})",
        "{" + matcher + "," + times + R"(,"recurrence":{"weekdays":["someday"]}})",
        "{" + matcher + "," + times + R"(,"recurrence":{"location":"Mars/Base"}})"}) {
    const Reply reply = door_.PostSilence(With({}, body));
    EXPECT_EQ(reply.status, 400) << body << reply.body;
    EXPECT_TRUE(Body(reply).is_string()) << reply.body;
  }
  EXPECT_EQ(door_.PostSilence(With({}, R"({"id":"x",)" + matcher + "," + times + "}")).status, 404);
}

TEST_F(AlertmanagerDoorTest, ARecurringSilenceHoldsInItsHoursOnly) {
  Post(kThree);
  // 2023-11-14 is a Tuesday; 23:30 in Berlin is 22:30 UTC.
  const std::string id =
      Silence(R"(,"recurrence":{"times":[{"start_time":"23:30","end_time":"24:00"}],)"
              R"("weekdays":["tuesday"],"location":"Europe/Berlin"},"remindBefore":"1h")");
  EXPECT_EQ(Body(door_.Silence(Id(id)))["status"]["state"], "pending");
  clock_.Advance(20 * 60'000);
  const Json now = Body(door_.Silence(Id(id)));
  EXPECT_EQ(now["status"]["state"], "active");
  EXPECT_EQ(now["recurrence"]["weekdays"][0], "tuesday");
  EXPECT_EQ(now["recurrence"]["times"][0]["end_time"], "24:00");
  EXPECT_EQ(now["recurrence"]["location"], "Europe/Berlin");
  EXPECT_EQ(now["remindBefore"], "1h");
  clock_.Advance(30 * 60'000);
  EXPECT_EQ(Body(door_.Silence(Id(id)))["status"]["state"], "pending");
}

TEST_F(AlertmanagerDoorTest, APreviewNamesWhatWouldBeHeldBackAndSetsNothing) {
  Post(kThree);
  const Reply reply = door_.PreviewSilence(
      With({}, R"({"matchers":[{"name":"instance","value":"a","isRegex":false}],)"
               R"("startsAt":"2023-11-14T22:13:20Z","endsAt":"2023-11-15T22:13:20Z"})"));
  EXPECT_EQ(Body(reply).size(), 2u);
  EXPECT_EQ(Body(door_.Silences({})).size(), 0u);
}

TEST_F(AlertmanagerDoorTest, HistoryTellsWhenItBeganAndEnded) {
  Post(R"([{"labels":{"alertname":"Slow"}}])");
  clock_.Advance(60'000);
  Post(R"([{"labels":{"alertname":"Slow"}}])");
  clock_.Advance(60'000);
  Post(R"([{"labels":{"alertname":"Slow"},"endsAt":"2023-11-14T22:15:00Z"}])");
  const Json events = Body(door_.AlertHistory({}))["data"];
  ASSERT_EQ(events.size(), 2u) << events.dump();
  EXPECT_EQ(events[0]["state"], "firing");
  EXPECT_EQ(events[0]["time"], "2023-11-14T22:13:20.000Z");
  EXPECT_EQ(events[1]["state"], "resolved");
  EXPECT_EQ(Body(door_.AlertHistory(With({{"filter", "alertname=Other"}})))["data"].size(), 0u);
  EXPECT_EQ(Body(door_.NotificationHistory({}))["data"].size(), 0u);
}

}  // namespace
}  // namespace vedette::api
