#include "common/config/url_secrets.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "common/config/register_secrets.h"
#include "common/log/log.h"
#include "tests/support/temp_dir.h"

namespace vedette::config {
namespace {

TEST(HideUrlSecrets, HidesPasswordsAndTokensAndNothingElse) {
  const struct {
    const char* text;
    const char* want;
  } kCases[] = {
      {"http://u:geheim@host:9090/x", "http://u:xxxxx@host:9090/x"},
      {"http://u@host/", "http://u@host/"},
      {"http://host:9090/a@b:c", "http://host:9090/a@b:c"},
      {"http://u:p@w@host", "http://u:xxxxx@host"},
      {"see http://u:one@a and https://v:two@b/?q=1", "see http://u:xxxxx@a and https://v:xxxxx@b/?q=1"},
      {"http://h/p?module=icmp&api_token=abc&x=1", "http://h/p?module=icmp&api_token=xxxxx&x=1"},
      {"http://h/?token=abc#frag", "http://h/?token=xxxxx#frag"},
      {"\"http://h/?token=abc\" is down", "\"http://h/?token=xxxxx\" is down"},
      {"http://h/p?target=http%3A%2F%2Fu%3Ageheim%40h%3A80%2F&x=1",
       "http://h/p?target=http%3A%2F%2Fu%3Axxxxx%40h%3A80%2F&x=1"},
      {"http://h/p?target=h%3A80%2Fa%40b", "http://h/p?target=h%3A80%2Fa%40b"},
      {"u:p@h, no URL", "u:p@h, no URL"},
      {"://", "://"},
      {"http://:@", "http://:@"},
      {"", ""},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.text);
    EXPECT_EQ(HideUrlSecrets(c.text), c.want);
  }
}

TEST(RegisterUrlSecrets, KeepsThemOutOfTheLogEscapedAndPlain) {
  RegisterUrlSecrets("https://u:a%2Fplanted%20one@host/?key=plantedtwo");
  EXPECT_EQ(log::MaskSecrets("a%2Fplanted%20one, a/planted one, plantedtwo"),
            "<secret>, <secret>, <secret>");
  RegisterUrlSecrets("http://Aladdin:open%20sesame@host/");
  EXPECT_EQ(log::MaskSecrets("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), "Basic <secret>");
}

TEST(RegisterPassword, KnowsTheHeaderToo) {
  RegisterPassword("Aladdin", "open sesame");
  EXPECT_EQ(log::MaskSecrets("Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            "Authorization: Basic <secret>");
}

TEST(RegisterSecrets, TakesThemFromTheFileAndFromFilesItNames) {
  testing::TempDir dir;
  std::ofstream(dir.path() + "/url") << "https://hooks.example.com/services/planted-in-a-file\n";
  std::ofstream(dir.path() + "/c.yml") << R"(
receivers:
  - name: shown-name
    slack_configs: [{api_url_file: url, channel: shown-channel}]
    webhook_configs:
      - {url: 'http://h/planted-hook', http_config: {basic_auth: {username: u, password: planted-pw}}}
      - {url: 'http://h/x', http_config: {proxy_url: 'http://p:planted-proxy@h/'}}
)";
  RegisterSecrets(dir.path() + "/c.yml");
  const std::string text =
      "404 /services/planted-in-a-file, POST /planted-hook, planted-pw, dTpwbGFudGVkLXB3, "
      "planted-proxy, shown-name, shown-channel";
  EXPECT_EQ(log::MaskSecrets(text),
            "404 <secret>, POST <secret>, <secret>, <secret>, <secret>, shown-name, shown-channel");
}

}  // namespace
}  // namespace vedette::config
