#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "common/config/alertmanager.h"
#include "common/config/prometheus.h"
#include "common/config/rules.h"
#include "common/config/web.h"
#include "tests/support/temp_dir.h"

namespace vedette::config {
namespace {

struct Bad {
  const char* text;
  const char* want;  // How the message begins.
};

template <typename F>
void ExpectRefused(std::initializer_list<Bad> cases, F parse) {
  for (const Bad& c : cases) {
    SCOPED_TRACE(c.text);
    const Status s = parse(c.text);
    ASSERT_FALSE(s.ok());
    EXPECT_EQ(std::string(s.message()).substr(0, std::string(c.want).size()), c.want);
  }
}

TEST(PrometheusConfig, FillsInWhatGlobalSays) {
  ASSERT_EQ(setenv("VEDETTE_TEST_ZONE", "eu", 1), 0);
  Result<PrometheusConfig> c = ParsePrometheusConfig(R"(
global:
  scrape_interval: 15s
  sample_limit: 100
  external_labels: {zone: "${VEDETTE_TEST_ZONE}-$$1"}
runtime: {gogc: 50}
scrape_configs:
  - job_name: node
    scheme: grpc
    static_configs: [{targets: ['a:9465'], labels: {env: prod}}]
    tls_config: {ca_file: ca.pem}
  - job_name: web
    scrape_interval: 5s
    body_size_limit: 10MB
    params: {module: [http]}
    file_sd_configs: [{files: [t/*.yml]}]
    relabel_configs: [{source_labels: [a, b], target_label: c, regex: '(.+);(.*)'}]
storage: {tsdb: {retention: {time: 30d, size: 2GB}, rollups: [5m, 1h]}}
)",
                                                     "/etc/v/p.yml");
  ASSERT_TRUE(c.ok()) << c.status().ToString();
  EXPECT_EQ(c->global.external_labels.Get("zone"), "eu-$1");
  ASSERT_EQ(c->scrape_configs.size(), 2u);
  EXPECT_EQ(c->scrape_configs[0].scrape_interval_ms, 15'000);
  EXPECT_EQ(c->scrape_configs[0].scrape_timeout_ms, 10'000);
  EXPECT_EQ(c->scrape_configs[0].limits.sample_limit, 100u);
  EXPECT_EQ(c->scrape_configs[0].http.tls.ca_file, "/etc/v/ca.pem");
  EXPECT_EQ(c->scrape_configs[1].scrape_timeout_ms, 5'000);
  EXPECT_EQ(c->scrape_configs[1].limits.body_size_limit_bytes, 10u << 20);
  EXPECT_EQ(std::get<FileSdConfig>(c->scrape_configs[1].discovery.dynamic[0]).files[0],
            "/etc/v/t/*.yml");
  EXPECT_EQ(c->storage.retention_time_ms, 30 * 86'400'000LL);
  EXPECT_EQ(c->storage.retention_size_bytes, 2ull << 30);
  EXPECT_EQ(c->storage.rollups_ms, (std::vector<int64_t>{300'000, 3'600'000}));
  ASSERT_EQ(c->notices.size(), 1u);
  EXPECT_EQ(c->notices[0].field, "runtime.gogc");
  EXPECT_EQ(c->notices[0].line, 6);
}

TEST(PrometheusConfig, SaysWhereAndWhyAndWhatToDo) {
  ExpectRefused(
      {{"global: {scrape_intervall: 5s}",
        "p.yml:1:10: global.scrape_intervall: unknown field; did you mean \"scrape_interval\"?"},
       {"global: {}\nglobal: {}", "p.yml:2:1: key \"global\" is given twice"},
       {"global: {scrape_interval: 5x}", "p.yml:1:27: global.scrape_interval: not a duration"},
       {"global:\n  scrape_interval: 5s\n  scrape_timeout: 6s",
        "p.yml:3:19: global.scrape_timeout: the scrape timeout (6000ms) is longer"},
       {"scrape_configs:\n- metrics_path: /x",
        "p.yml:2:3: scrape_configs[0].job_name: is missing or empty"},
       {"scrape_configs:\n-\n", "p.yml:2:2: scrape_configs[0]: empty or null item"},
       {"scrape_configs:\n- job_name: a\n- job_name: a",
        "p.yml:3:3: scrape_configs[1]: the job name \"a\" is taken by p.yml:2"},
       {"scrape_configs:\n- job_name: a\n  static_configs: [{targets: ['http://x']}]",
        "p.yml:3:31: scrape_configs[0].static_configs[0].targets[0]: not a target"},
       {"scrape_configs:\n- job_name: a\n  relabel_configs: [{regex: '('}]",
        "p.yml:3:29: scrape_configs[0].relabel_configs[0].regex: "},
       {"scrape_configs:\n- job_name: a\n  relabel_configs: [{action: lowercase}]",
        "p.yml:3:21: scrape_configs[0].relabel_configs[0].target_label: is missing"},
       {"scrape_configs:\n- job_name: a\n  relabel_configs: [{action: fly}]",
        "p.yml:3:30: scrape_configs[0].relabel_configs[0].action: unknown relabel action \"fly\""},
       {"scrape_configs:\n- job_name: a\n  basic_auth: {username: u}\n  authorization: {}",
        "p.yml:2:3: scrape_configs[0]: at most one of basic_auth, oauth2 and authorization"},
       {"scrape_configs:\n- job_name: a\n  gce_sd_configs: [{}]",
        "p.yml:3:19: scrape_configs[0].gce_sd_configs: refused: "},
       {"scrape_configs:\n- job_name: a\n  oauth2: {token_url: 'http://x', grant_type: "
        "'urn:ietf:params:oauth:grant-type:jwt-bearer'}",
        "p.yml:3:47: scrape_configs[0].oauth2.grant_type: refused: "},
       {"remote_write: [{name: x}]", "p.yml:1:16: remote_write[0].url: is missing"},
       {"alerting: {alertmanagers: [{api_version: v1}]}",
        "p.yml:1:42: alerting.alertmanagers[0].api_version: unknown version \"v1\""},
       {"rule_files: ['a/*/b.yml']", "p.yml:1:14: rule_files[0]: in \"a/*/b.yml\" the * must"},
       {"a: [", "p.yml:"},
       {"a: 1\n---\nb: 2", "p.yml:3:1: a second document"}},
      [](const char* text) { return ParsePrometheusConfig(text, "p.yml").status(); });
}

TEST(PrometheusConfig, ShowsNoSecret) {
  Result<PrometheusConfig> c = ParsePrometheusConfig(
      "scrape_configs:\n- job_name: a\n  basic_auth: {username: u, password: hunter2}\n"
      "remote_write: [{url: 'http://u:hunter2@h/w'}]\n",
      "p.yml");
  ASSERT_TRUE(c.ok()) << c.status().ToString();
  const std::string shown = ToYaml(*c);
  EXPECT_EQ(shown.find("hunter2"), std::string::npos);
  EXPECT_NE(shown.find("password: <secret>"), std::string::npos);
  EXPECT_NE(shown.find("scrape_interval: 1m"), std::string::npos);
  Result<PrometheusConfig> again = ParsePrometheusConfig(shown, "p.yml");
  ASSERT_TRUE(again.ok()) << again.status().ToString() << "\n" << shown;
  EXPECT_EQ(again->scrape_configs[0].scrape_interval_ms, c->scrape_configs[0].scrape_interval_ms);
  EXPECT_NE(ToYaml(*c, "a").find("job_name: a"), std::string::npos);
}

TEST(PrometheusConfig, ReadsTheFilesItNames) {
  vedette::testing::TempDir dir;
  std::ofstream(dir.path() + "/more.yml") << "scrape_configs: [{job_name: more}]\n";
  std::ofstream(dir.path() + "/r.rules") << "groups: []\n";
  std::ofstream(dir.path() + "/p.yml") << R"({"rule_files": ["*.rules"],)"
                                       << R"( "scrape_config_files": ["more.yml"]})";
  Result<PrometheusConfig> c = LoadPrometheusConfig(dir.path() + "/p.yml");
  ASSERT_TRUE(c.ok()) << c.status().ToString();
  EXPECT_EQ(c->rule_files, std::vector<std::string>{dir.path() + "/r.rules"});
  ASSERT_EQ(c->scrape_configs.size(), 1u);
  EXPECT_EQ(c->scrape_configs[0].file, dir.path() + "/more.yml");
}

TEST(RuleFile, KeepsLinesAndRefusesHalfRules) {
  Result<RuleFileConfig> c = ParseRuleFile(
      "groups:\n- name: g\n  interval: 30s\n  rules:\n  - alert: A\n    expr: up == 0\n    for: "
      "5m\n",
      "r.yml");
  ASSERT_TRUE(c.ok()) << c.status().ToString();
  EXPECT_EQ(c->groups[0].rules[0].line, 5);
  EXPECT_EQ(c->groups[0].rules[0].expr_line, 6);
  EXPECT_EQ(c->groups[0].rules[0].for_ms, 300'000);
  ExpectRefused(
      {{"groups: [{rules: []}]", "r.yml:1:10: groups[0].name: groupname must not be empty"},
       {"groups: [{name: a}, {name: a}]", "r.yml:1:21: groups[1]: groupname \"a\" is repeated"},
       {"groups: [{name: a, rules: [{expr: up}]}]",
        "r.yml:1:28: groups[0].rules[0]: one of 'record' or 'alert'"},
       {"groups: [{name: a, rules: [{record: r}]}]",
        "r.yml:1:28: groups[0].rules[0].expr: field 'expr' must be set"},
       {"groups: [{name: a, rules: [{record: r, expr: up, for: 5m}]}]",
        "r.yml:1:55: groups[0].rules[0].for: invalid field 'for'"}},
      [](const char* text) { return ParseRuleFile(text, "r.yml").status(); });
}

TEST(WebConfig, NeedsACertificateAndHashes) {
  EXPECT_TRUE(ParseWebConfig("tls_server_config: {cert_file: c, key_file: k}", "w.yml").ok());
  ExpectRefused(
      {{"tls_server_config: {cert_file: c}",
        "w.yml:1:20: tls_server_config: needs key or key_file"},
       {"basic_auth_users: {bob: plain}", "w.yml:1:25: basic_auth_users.bob: not a bcrypt hash"}},
      [](const char* text) { return ParseWebConfig(text, "w.yml").status(); });
}

TEST(AlertmanagerConfig, InheritsAndFillsIn) {
  Result<AlertmanagerConfig> c = ParseAlertmanagerConfig(R"(
global: {slack_api_url: 'https://hooks/x', smtp_smarthost: 'm:25', smtp_from: a@b}
route:
  receiver: chat
  group_by: [job]
  group_wait: 10s
  routes:
  - receiver: mail
    matchers: ['severity=~"a|b"', team = db]
    mute_time_intervals: [night]
receivers:
- name: chat
  slack_configs: [{channel: '#x'}]
- name: mail
  email_configs: [{to: c@d, headers: {subject: hi}}]
time_intervals:
- name: night
  time_intervals: [{times: [{start_time: '22:00', end_time: '24:00'}], weekdays: ['monday:friday'], days_of_month: ['-3:-1']}]
inhibit_rules: [{source_match: {a: b}, target_matchers: ['{c="d",e!="f"}'], equal: [x]}]
)",
                                                         "am.yml");
  ASSERT_TRUE(c.ok()) << c.status().ToString();
  const RouteConfig& child = c->route.routes[0];
  EXPECT_EQ(child.group_wait_ms, 10'000);
  EXPECT_EQ(child.group_by, std::vector<std::string>{"job"});
  ASSERT_EQ(child.matchers.size(), 2u);
  EXPECT_EQ(child.matchers[1].ToString(), R"(team="db")");
  EXPECT_EQ(c->FindReceiver("chat")->slack[0].api_url.Reveal(), "https://hooks/x");
  EXPECT_FALSE(c->FindReceiver("chat")->slack[0].send_resolved);
  EXPECT_EQ(c->FindReceiver("mail")->email[0].smarthost_port, 25);
  EXPECT_EQ(c->FindReceiver("mail")->email[0].headers.at("Subject"), "hi");
  EXPECT_EQ(c->time_intervals[0].intervals[0].weekdays[0], (IntRange{1, 5}));
  EXPECT_EQ(c->inhibit_rules[0].target_matchers.size(), 2u);
  EXPECT_EQ(ShownYaml(*c).find("hooks"), std::string::npos);
}

TEST(AlertmanagerConfig, SaysWhereAndWhy) {
  ExpectRefused({{"receivers: [{name: a}]", "am.yml:1:1: route: is missing"},
                 {"route: {receiver: b}\nreceivers: [{name: a}]",
                  "am.yml:1:8: route: receiver \"b\" is not defined"},
                 {"route: {receiver: a, matchers: [a=b]}\nreceivers: [{name: a}]",
                  "am.yml:1:8: route: the root route must not have any matchers"},
                 {"route: {receiver: a, group_by: ['...', b]}\nreceivers: [{name: a}]",
                  "am.yml:1:32: route.group_by: '...' means every label"},
                 {"route: {receiver: a}\nreceivers: [{name: a, slack_configs: [{channel: x}]}]",
                  "am.yml:2:39: receivers[0].slack_configs[0].api_url: is missing"},
                 {"route: {receiver: a, routes: [{matchers: ['a']}]}\nreceivers: [{name: a}]",
                  "am.yml:1:43: route.routes[0].matchers[0]: not a matcher: \"a\""},
                 {"route: {receiver: a}\nreceivers: [{name: a}, {name: a}]",
                  "am.yml:2:24: receivers[1]: receiver \"a\" is defined twice"}},
                [](const char* text) { return ParseAlertmanagerConfig(text, "am.yml").status(); });
}

TEST(AlertMatchers, ReadBothSyntaxes) {
  for (const auto& [text, want] : std::initializer_list<std::pair<const char*, const char*>>{
           {R"({"a.b"="c, d"})", R"({"a.b"="c, d"})"},
           {R"(foo = bar baz)", R"(foo="bar baz")"},
           {R"(foo=)", R"(foo="")"},
           {R"(foo!~"\\d+")", R"(foo!~"\\d+")"}}) {
    SCOPED_TRACE(text);
    Result<Matcher> m = ParseAlertMatcher(text);
    ASSERT_TRUE(m.ok()) << m.status().ToString();
    EXPECT_EQ(m->ToString(), std::string(want).starts_with('{') ? R"("a.b"="c, d")" : want);
  }
  for (const char* bad : {"", "foo", "=x", R"(foo="x)", "{a=b", R"(a="b"c)", "a=~("}) {
    EXPECT_FALSE(ParseAlertMatcher(bad).ok()) << bad;
  }
}

TEST(Yaml, BoundsWhatAliasesCanDo) {
  std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int k = 0; k < 10; ++k) bomb += before + (k < 9 ? "," : "]\n");
  }
  const Status s = ParsePrometheusConfig(bomb, "p.yml").status();
  EXPECT_NE(s.message().find("aliases counted"), std::string_view::npos) << s.message();
  EXPECT_FALSE(ParsePrometheusConfig(std::string(100'000, '['), "p.yml").ok());
}

}  // namespace
}  // namespace vedette::config
