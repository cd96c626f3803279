#include "server/notify/receiver.h"

#include <fstream>

#include <gtest/gtest.h>

#include "common/base/strings.h"
#include "server/notify/slack_escape.h"
#include "tests/support/fake_clock.h"
#include "tests/support/golden.h"
#include "tests/support/temp_dir.h"

namespace vedette::notify {
namespace {

class ReceiverTest : public ::testing::Test {
 protected:
  ReceiverTest() {
    context_.templates = *MessageTemplates::Make({}, clock_, "http://vedette:9090/");
    context_.clock = &clock_;
    context_.mail = [this](const Mail& mail) {
      mails_.push_back(mail);
      return SendOutcome{};
    };
    context_.signed_http = [this](const config::HttpClientConfig& http, const AwsKeys& keys) {
      keys_ = keys;
      return context_.http(http);
    };
    context_.http = [this](const config::HttpClientConfig&) -> Result<HttpClient> {
      return HttpClient([this](const HttpPost& post) {
        posts_.push_back(post);
        if (replies_.empty()) return reply_;
        HttpReply reply = replies_.front();
        replies_.erase(replies_.begin());
        return Result<HttpReply>(reply);
      });
    };
  }
  Notification Example() {
    const int64_t t = 1'700'000'000'000;
    return {
        .receiver = "team",
        .group_key = "{}:{alertname=\"Down\"}",
        .group_labels = Labels::Of({{"alertname", "Down"}}),
        .alerts = {{.labels = Labels::Of(
                        {{"alertname", "Down"}, {"instance", "a<b>&c"}, {"severity", "page"}}),
                    .annotations = Labels::Of({{"summary", "see <https://x/?a=1&b=2|here> < 5"}}),
                    .starts_at_ms = t,
                    .generator_url = "http://vedette:9090/graph?g0.expr=up&g0.tab=1"},
                   {.labels = Labels::Of(
                        {{"alertname", "Down"}, {"instance", "z"}, {"severity", "page"}}),
                    .annotations = Labels::Of({{"summary", "over"}}),
                    .starts_at_ms = t,
                    .ends_at_ms = t + 60'500}},
        .now_ms = t + 120'000};
  }

  testing::FakeClock clock_{1'700'000'120'000};
  NotifyContext context_;
  // Every request of one notification, as a customer would see it on the wire.
  void ExpectWire(const Result<Integration>& way, const char* golden, const Notification& n) {
    ASSERT_TRUE(way.ok()) << way.status().ToString();
    posts_.clear();
    const SendOutcome outcome = way->send(n, 10'000);
    EXPECT_TRUE(outcome.status.ok()) << outcome.status.ToString();
    std::string wire;
    for (const HttpPost& p : posts_) {
      StrAppend(wire, p.method, " ", p.url, "\n");
      for (const auto& [name, value] : p.headers) StrAppend(wire, name, ": ", value, "\n");
      StrAppend(wire, "\n", p.body, "\n");
    }
    testing::ExpectGolden(StrCat("server/notify/testdata/", golden), wire);
  }
  Notification Over() {
    Notification n = Example();
    n.alerts[0].ends_at_ms = n.now_ms - 1000;
    return n;
  }

  std::vector<HttpPost> posts_;
  std::vector<Mail> mails_;
  std::vector<HttpReply> replies_;  // Before reply_ comes every time.
  AwsKeys keys_;
  Result<HttpReply> reply_ = HttpReply{.status = 200};
};

TEST_F(ReceiverTest, SlackBody) {
  config::SlackConfig c;
  c.api_url = config::Secret("http://slack/services/T/B/x");
  c.channel = "#alerts";
  c.text = "{{ range .Alerts }}{{ .Annotations.summary }} ({{ .Labels.instance }})\n{{ end }}";
  c.fields = {{.title = "Severity", .value = "{{ .CommonLabels.severity }}", .is_short = true}};
  c.actions = {{.type = "button", .text = "Runbook", .url = "https://runbook"}};
  Result<Integration> slack = MakeSlack(c, context_);
  ASSERT_TRUE(slack.ok()) << slack.status().ToString();
  EXPECT_TRUE(slack->send(Example(), 10'000).status.ok());
  ASSERT_EQ(posts_.size(), 1u);
  EXPECT_EQ(posts_[0].url, "http://slack/services/T/B/x");
  EXPECT_EQ(posts_[0].timeout_ms, 10'000);
  testing::ExpectGolden("server/notify/testdata/slack.json", posts_[0].body + "\n");
}

TEST_F(ReceiverTest, WebhookBody) {
  config::WebhookConfig c;
  c.url = config::Secret("http://hook/");
  Result<Integration> webhook = MakeWebhook(c, context_);
  ASSERT_TRUE(webhook.ok()) << webhook.status().ToString();
  EXPECT_TRUE(webhook->send(Example(), 10'000).status.ok());
  testing::ExpectGolden("server/notify/testdata/webhook.json", posts_[0].body + "\n");
  c.max_alerts = 1;
  EXPECT_TRUE(MakeWebhook(c, context_)->send(Example(), 10'000).status.ok());
  EXPECT_NE(posts_[1].body.find("\"truncatedAlerts\":1"), std::string::npos);
}

TEST_F(ReceiverTest, PagerdutyBody) {
  config::PagerdutyConfig c;
  c.routing_key = config::Secret("0123456789abcdef0123456789abcdef");
  c.url = "http://pd/v2/enqueue";
  c.details["firing"] = {.kind = config::TemplateTree::Kind::kString,
                         .scalar = "{{ .Alerts.Firing | len }}"};
  EXPECT_TRUE(MakePagerduty(c, context_)->send(Example(), 10'000).status.ok());
  testing::ExpectGolden("server/notify/testdata/pagerduty.json", posts_[0].body + "\n");
}

TEST_F(ReceiverTest, AnswersAreJudged) {
  config::SlackConfig c;
  c.api_url = config::Secret("http://slack/SECRET");
  const Integration slack = *MakeSlack(c, context_);
  const struct {
    HttpReply reply;
    bool ok, retry;
    int64_t wait_ms;
  } kCases[] = {
      {{200, "", "ok"}, true, false, 0},
      {{204, "", ""}, true, false, 0},
      {{400, "", "invalid_payload"}, false, false, 0},
      {{403, "", ""}, false, false, 0},
      {{404, "", ""}, false, false, 0},
      {{429, "3", ""}, false, true, 3000},
      {{429, "", ""}, false, true, 0},
      {{500, "", ""}, false, true, 0},
      {{503, "Tue, 14 Nov 2023 22:15:30 GMT", ""}, false, true, 10'000},
      {{302, "", ""}, false, false, 0},
  };
  for (const auto& k : kCases) {
    SCOPED_TRACE(k.reply.status);
    reply_ = k.reply;
    const SendOutcome got = slack.send(Example(), 1000);
    EXPECT_EQ(got.status.ok(), k.ok) << got.status.ToString();
    EXPECT_EQ(got.retry, k.retry);
    EXPECT_EQ(got.retry_after_ms, k.wait_ms);
    EXPECT_EQ(got.status.ToString().find("SECRET"), std::string::npos);
  }
  reply_ = Unavailable("connection refused");
  EXPECT_TRUE(slack.send(Example(), 1000).retry);
}

TEST_F(ReceiverTest, SecretsComeFromFilesAtEachUse) {
  testing::TempDir dir;
  config::SlackConfig c;
  c.api_url_file = dir.path() + "/url";
  const Integration slack = *MakeSlack(c, context_);
  const SendOutcome missing = slack.send(Example(), 1000);
  EXPECT_TRUE(missing.retry);
  std::ofstream(c.api_url_file) << "http://first\n";
  EXPECT_TRUE(slack.send(Example(), 1000).status.ok());
  std::ofstream(c.api_url_file) << "http://second\n";
  EXPECT_TRUE(slack.send(Example(), 1000).status.ok());
  ASSERT_EQ(posts_.size(), 2u);
  EXPECT_EQ(posts_[0].url, "http://first");
  EXPECT_EQ(posts_[1].url, "http://second");
}

TEST_F(ReceiverTest, LongTextsAreCutAtSlacksLimits) {
  config::SlackConfig c;
  c.api_url = config::Secret("http://slack");
  c.title = "{{ range 3000 }}&{{ end }}";
  EXPECT_TRUE(MakeSlack(c, context_)->send(Example(), 1000).status.ok());
  const std::string& body = posts_[0].body;
  const size_t begin = body.find("\"title\":\"") + 9;
  const std::string title = body.substr(begin, body.find('"', begin) - begin);
  EXPECT_LE(title.size(), 1024u + 2);
  EXPECT_TRUE(title.ends_with("&amp;\xe2\x80\xa6")) << title.substr(title.size() - 10);
}

TEST_F(ReceiverTest, AMistakeInATemplateIsToldAtLoad) {
  config::SlackConfig c;
  c.api_url = config::Secret("http://slack");
  c.text = "{{ .Foo ";
  EXPECT_FALSE(MakeSlack(c, context_).ok());
  config::AlertmanagerConfig config{.file = "am.yml"};
  config.receivers.push_back({.name = "chat"});
  config.receivers[0].discord.emplace_back();
  config.receivers[0].discord[0].line = 12;
  config.receivers[0].discord[0].title = "{{ nope }}";
  const Status refused = MakeReceivers(config, context_).status();
  EXPECT_EQ(refused.code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(refused.message().starts_with("am.yml:12: receiver \"chat\": "))
      << refused.ToString();
}

TEST_F(ReceiverTest, UsersTemplatesReplaceTheDefaultOnes) {
  const std::pair<std::string, std::string> files[] = {
      {"my.tmpl", "{{ define \"slack.default.title\" }}mine {{ .Status }}{{ end }}"}};
  context_.templates = *MessageTemplates::Make(files, clock_, "");
  config::SlackConfig c;
  c.api_url = config::Secret("http://slack");
  EXPECT_TRUE(MakeSlack(c, context_)->send(Example(), 1000).status.ok());
  EXPECT_NE(posts_[0].body.find("\"title\":\"mine firing\""), std::string::npos);
}

TEST_F(ReceiverTest, OpsgenieRequests) {
  config::OpsgenieConfig c;
  c.api_key = config::Secret("key");
  c.api_url = "http://og";
  c.details = {{"severity", "{{ .CommonLabels.severity }}"}};
  c.responders = {{.name = "a, b", .type = "teams"}, {.username = "me@x", .type = "user"}};
  c.tags = "one,{{ .Status }}";
  c.priority = "P1";
  c.update_alerts = true;
  ExpectWire(MakeOpsgenie(c, context_), "opsgenie.txt", Example());
  ExpectWire(MakeOpsgenie(c, context_), "opsgenie_close.txt", Over());
}

TEST_F(ReceiverTest, VictoropsRequest) {
  config::VictoropsConfig c;
  c.api_key = config::Secret("key");
  c.api_url = "http://vo/";
  c.routing_key = "{{ .GroupLabels.alertname }}";
  c.custom_fields = {{"team", "{{ .Receiver }}"}};
  ExpectWire(MakeVictorops(c, context_), "victorops.txt", Example());
}

TEST_F(ReceiverTest, PushoverRequest) {
  config::PushoverConfig c;
  c.user_key = config::Secret("user");
  c.token = config::Secret("token");
  c.message = "{{ range 2000 }}x{{ end }}";
  c.ttl_ms = 60'000;
  ExpectWire(MakePushover(c, context_), "pushover.txt", Example());
}

TEST_F(ReceiverTest, TelegramRequest) {
  config::TelegramConfig c;
  c.api_url = "http://tg";
  c.bot_token = config::Secret("123:abc");
  c.chat_id = -100;
  c.message_thread_id = 7;
  c.message = "<b>{{ .Status }}</b>{{ range .Alerts }} {{ .Labels.instance }}{{ end }}";
  ExpectWire(MakeTelegram(c, context_), "telegram.txt", Example());
  EXPECT_NE(posts_[0].body.find("a&lt;b&gt;&amp;c"), std::string::npos) << "labels are text";
  reply_ = HttpReply{.status = 200, .body = R"({"ok":false,"error":"no"})"};
  EXPECT_FALSE(MakeTelegram(c, context_)->send(Example(), 1000).status.ok());
}

TEST_F(ReceiverTest, DiscordRequest) {
  config::DiscordConfig c;
  c.webhook_url = config::Secret("http://discord/hook");
  c.username = "Vedette";
  ExpectWire(MakeDiscord(c, context_), "discord.txt", Example());
}

TEST_F(ReceiverTest, MsteamsRequests) {
  config::MsteamsConfig one;
  one.webhook_url = config::Secret("http://teams/1");
  ExpectWire(MakeMsteams(one, context_), "msteams.txt", Example());
  config::MsteamsV2Config two;
  two.webhook_url = config::Secret("http://teams/2");
  ExpectWire(MakeMsteamsV2(two, context_), "msteamsv2.txt", Over());
  two.text = "{{ range 60000 }}\"{{ end }}";
  EXPECT_TRUE(MakeMsteamsV2(two, context_)->send(Example(), 1000).status.ok());
  EXPECT_LE(posts_.back().body.size(), size_t{28} << 10);
}

TEST_F(ReceiverTest, WebexRequest) {
  config::WebexConfig c;
  c.api_url = "http://webex/v1/messages";
  c.room_id = "room";
  ExpectWire(MakeWebex(c, context_), "webex.txt", Example());
}

TEST_F(ReceiverTest, SnsRequest) {
  config::SnsConfig c;
  c.access_key = "AKID";
  c.secret_key = config::Secret("secret");
  c.topic_arn = "arn:aws:sns:eu-central-1:123456789012:alerts.fifo";
  c.attributes = {{"severity", "{{ .CommonLabels.severity }}"}};
  ExpectWire(MakeSns(c, context_), "sns.txt", Example());
  EXPECT_EQ(keys_.region, "eu-central-1");
  EXPECT_EQ(keys_.service, "sns");
  c.topic_arn.clear();
  c.phone_number = "+49123";
  c.message = "{{ range 2000 }}x{{ end }}";
  c.region = "us-east-1";
  EXPECT_TRUE(MakeSns(c, context_)->send(Example(), 1000).status.ok());
  EXPECT_NE(posts_.back().body.find("truncated"), std::string::npos);
}

TEST_F(ReceiverTest, WechatBuysATokenOnceAndAgainWhenItIsRefused) {
  config::WechatConfig c;
  c.api_secret = config::Secret("secret");
  c.corp_id = "corp";
  c.api_url = "http://wx/cgi-bin/";
  c.to_user = "@all";
  const Result<Integration> wechat = MakeWechat(c, context_);
  reply_ = HttpReply{.status = 200, .body = R"({"errcode":0})"};
  replies_ = {{200, "", R"({"errcode":0,"access_token":"T"})"}};
  ExpectWire(wechat, "wechat.txt", Example());
  EXPECT_TRUE(wechat->send(Example(), 1000).status.ok());
  EXPECT_EQ(posts_.size(), 3u) << "the token is kept";
  replies_ = {{200, "", R"({"errcode":42001})"}};
  EXPECT_TRUE(wechat->send(Example(), 1000).retry);
  replies_ = {{200, "", R"({"errcode":40013})"}};
  EXPECT_FALSE(wechat->send(Example(), 1000).status.ok()) << "no token was given";
}

TEST_F(ReceiverTest, JiraOpensChangesResolvesAndReopens) {
  config::JiraConfig c;
  c.api_url = "http://jira/rest/api/2";
  c.project = "OPS";
  c.issue_type = "Bug";
  c.labels = {"alert", "{{ .GroupLabels.alertname }}"};
  c.resolve_transition = "Done";
  c.reopen_transition = "To Do";
  c.reopen_duration_ms = 3'600'000;
  c.wont_fix_resolution = "Won't do";
  c.fields["customfield_1"] = {
      .kind = config::TemplateTree::Kind::kMap,
      .fields = {
          {"value", {.kind = config::TemplateTree::Kind::kString, .scalar = "{{ .Status }}"}}}};
  const Result<Integration> jira = MakeJira(c, context_);
  replies_ = {{200, "", R"({"issues":[]})"}, {201, "", "{}"}};
  ExpectWire(jira, "jira_open.txt", Example());
  const std::string open =
      R"({"issues":[{"key":"OPS-1","fields":{"status":{"statusCategory":{"key":"new"}}}}]})";
  replies_ = {
      {200, "", open}, {204, "", ""}, {200, "", R"({"transitions":[{"id":"31","name":"Done"}]})"}};
  ExpectWire(jira, "jira_resolve.txt", Over());
  const std::string done =
      R"({"issues":[{"key":"OPS-1","fields":{"status":{"statusCategory":{"key":"done"}}}}]})";
  replies_ = {{200, "", done}, {204, "", ""}, {200, "", R"({"transitions":[]})"}};
  const SendOutcome none = jira->send(Example(), 1000);
  EXPECT_NE(none.status.message().find("no transition \"To Do\""), std::string_view::npos);
  replies_ = {{200, "", R"({"issues":[]})"}};
  posts_.clear();
  EXPECT_TRUE(jira->send(Over(), 1000).status.ok());
  EXPECT_EQ(posts_.size(), 1u) << "nothing to resolve";
}

TEST_F(ReceiverTest, RocketchatRequest) {
  config::RocketchatConfig c;
  c.api_url = "http://rc/";
  c.token = config::Secret("token");
  c.token_id = config::Secret("id");
  c.channel = "#ops";
  c.fields = {{.title = "a", .value = "b"}};
  c.actions = {{.type = "button", .text = "t", .url = "http://x"}};
  ExpectWire(MakeRocketchat(c, context_), "rocketchat.txt", Example());
  reply_ = HttpReply{.status = 200, .body = R"({"success":false,"error":"not-allowed"})"};
  EXPECT_FALSE(MakeRocketchat(c, context_)->send(Example(), 1000).status.ok());
}

TEST_F(ReceiverTest, MattermostRequest) {
  config::MattermostConfig c;
  c.webhook_url = config::Secret("http://mm/hooks/x");
  c.attachments = {{.color = "#f00", .title = "{{ .Status }}"}};
  c.props_card = "card";
  c.priority = "urgent";
  ExpectWire(MakeMattermost(c, context_), "mattermost.txt", Example());
}

TEST_F(ReceiverTest, IncidentioRequest) {
  config::IncidentioConfig c;
  c.url = "http://incident/v2/alert_events";
  c.alert_source_token = config::Secret("token");
  c.max_alerts = 1;
  ExpectWire(MakeIncidentio(c, context_), "incidentio.txt", Example());
}

TEST_F(ReceiverTest, PagerdutyV1Request) {
  config::PagerdutyConfig c;
  c.service_key = config::Secret("service");
  c.url = "https://events.pagerduty.com/v2/enqueue";
  ExpectWire(MakePagerduty(c, context_), "pagerduty_v1.txt", Example());
}

TEST_F(ReceiverTest, SlackBotChangesItsMessage) {
  config::SlackConfig c;
  c.app_token = config::Secret("xoxb");
  c.app_url = "http://slack/api/chat.postMessage";
  c.channel = "#ops";
  c.update_message = true;
  const Integration slack = *MakeSlack(c, context_);
  reply_ = HttpReply{.status = 200, .body = R"({"ok":true,"channel":"C1","ts":"1.2"})"};
  Notification n = Example();
  EXPECT_EQ(slack.send(n, 1000).receipt, "C1 1.2");
  n.receipt = "C1 1.2";
  EXPECT_TRUE(slack.send(n, 1000).status.ok());
  EXPECT_EQ(posts_[1].url, "http://slack/api/chat.update");
  EXPECT_NE(posts_[1].body.find("\"ts\":\"1.2\""), std::string::npos);
  replies_ = {{200, "", R"({"ok":false,"error":"message_not_found"})"}};
  EXPECT_TRUE(slack.send(n, 1000).status.ok());
  EXPECT_EQ(posts_[3].url, "http://slack/api/chat.postMessage") << "it was deleted: a new one";
  reply_ = HttpReply{.status = 200, .body = R"({"ok":false,"error":"channel_not_found"})"};
  EXPECT_FALSE(slack.send(n, 1000).status.ok());
}

TEST_F(ReceiverTest, EmailMessage) {
  config::EmailConfig c;
  c.to = "Ops <ops@x.org>, dev@x.org";
  c.from = "alerts@x.org";
  c.smarthost = "relay";
  c.smarthost_port = 465;
  c.hello = "hub";
  c.auth_username = "me";
  c.auth_password = config::Secret("pass");
  c.text = "{{ range .Alerts }}{{ .Labels.instance }}\n{{ end }}";
  c.headers = {{"X-Team", "{{ .Receiver }}"}};
  c.threading_enabled = true;
  const Result<Integration> email = MakeEmail(c, context_);
  ASSERT_TRUE(email.ok()) << email.status().ToString();
  EXPECT_TRUE(email->send(Example(), 10'000).status.ok());
  ASSERT_EQ(mails_.size(), 1u);
  EXPECT_TRUE(mails_[0].implicit_tls);
  EXPECT_EQ(mails_[0].password, "pass");
  EXPECT_EQ(mails_[0].to, (std::vector<std::string>{"ops@x.org", "dev@x.org"}));
  EXPECT_NE(mails_[0].message.find("a&lt;b&gt;&amp;c"), std::string::npos) << "text in HTML";
  testing::ExpectGolden("server/notify/testdata/email.txt", mails_[0].message);
}

TEST(SlackEscape, MarkupStaysAndEverythingElseIsData) {
  EXPECT_EQ(EscapeSlack("<!channel> & >"), "&lt;!channel&gt; &amp; &gt;");
  const struct {
    std::string_view in, want;
  } kCases[] = {
      {"a < b & c > d", "a &lt; b &amp; c &gt; d"},
      {"<https://x/?a=1&b=2|t>", "<https://x/?a=1&amp;b=2|t>"},
      {"&lt;kept&gt;", "&lt;kept&gt;"},
      {"> quote\n> more", "> quote\n> more"},
      {"<script>", "&lt;script&gt;"},
      {"<!here> <@U123>", "<!here> <@U123>"},
      {"<https://open", "&lt;https://open"},
  };
  for (const auto& c : kCases) EXPECT_EQ(EscapeSlackText(c.in), c.want);
}

}  // namespace
}  // namespace vedette::notify
