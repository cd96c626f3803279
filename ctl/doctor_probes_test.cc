#include "ctl/doctor_probes.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <set>
#include <string>
#include <vector>

#include "common/base/strings.h"

namespace vedette::ctl {
namespace {

TEST(ReceiverAddresses, ItsOwnThenGlobalsThenTheServices) {
  const std::set<std::string> want = {"alert.example.com:443", "hooks.slack.com:443",
                                      "mail.example.com:587", "og.example.com:8080",
                                      "events.pagerduty.com:443"};
  EXPECT_EQ(ReceiverAddresses(R"(
global: {smtp_smarthost: 'mail.example.com:587', opsgenie_api_url: 'http://og.example.com:8080/x'}
route: {receiver: a}
receivers:
  - name: a
    slack_configs: [{api_url: <secret>, channel: c}]
    email_configs: [{to: a@example.com}]
    opsgenie_configs: [{api_key: <secret>}]
    pagerduty_configs: [{routing_key: <secret>}]
  - name: b
    victorops_configs: [{api_key: <secret>, api_url: 'https://alert.example.com/'}]
    webhook_configs:
      - {url: <secret>}
      - {url: 'http://far.example.com/', http_config: {proxy_url: 'http://proxy:3128'}}
)"),
            want);
  EXPECT_TRUE(ReceiverAddresses("receivers: [").empty());
}

TEST(DashboardExpressions, VariablesBecomeWhatParses) {
  const std::vector<std::string> want = {
      "sum(rate(a_total{job=~\"1\"}[5m])) > 1", "b offset 5m", "max_over_time(c{x=\"1\"}[5m:5m])",
      "d $"};
  EXPECT_EQ(DashboardExpressions(R"json({"panels": [
    {"targets": [{"expr": "sum(rate(a_total{job=~\"$job\"}[$__rate_interval])) > ${limit:raw}"}]},
    {"panels": [{"targets": [{"expr": "b offset $shift"},
                             {"expr": "max_over_time(c{x=\"[[y]]\"}[$__range:$step])"}]}]},
    {"targets": [{"expr": "d $"}, {"expr": 1}]}]})json"),
            want);
  EXPECT_TRUE(DashboardExpressions("{").empty());
}

TEST(Reach, AListenerIsReachedAndNobodyIsNot) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  ASSERT_GE(fd, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const std::string where = StrCat("127.0.0.1:", ntohs(address.sin_port));
  EXPECT_FALSE(Reach(where, 5'000).ok());
  ASSERT_EQ(::listen(fd, 1), 0);
  EXPECT_TRUE(Reach(where, 5'000).ok());
  ::close(fd);
  EXPECT_FALSE(Reach("no port", 100).ok());
}

}  // namespace
}  // namespace vedette::ctl
