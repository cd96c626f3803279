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
    context_.http = [this](const config::HttpClientConfig&) -> Result<HttpClient> {
      return HttpClient([this](const HttpPost& post) {
        posts_.push_back(post);
        return reply_;
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
  std::vector<HttpPost> posts_;
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
  config.receivers.push_back({.name = "mail"});
  config.receivers[0].wechat.emplace_back();
  const Status refused = MakeReceivers(config, context_).status();
  EXPECT_EQ(refused.code(), StatusCode::kUnimplemented);
  EXPECT_NE(refused.message().find("receiver \"mail\": wechat_configs"), std::string_view::npos);
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
