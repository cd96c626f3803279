#include "agent/probe/probe.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "agent/probe/dns_message.h"
#include "agent/probe/module.h"
#include "common/base/strings.h"

namespace vedette::agent {
namespace {

// One TCP connection after the other, each handled by `talk`.
class TcpPeer {
 public:
  explicit TcpPeer(std::function<void(int fd)> talk) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(fd_, 5), 0);
    socklen_t size = sizeof address;
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
    thread_ = std::thread([this, talk = std::move(talk)] {
      for (;;) {
        const int peer = accept(fd_, nullptr, nullptr);
        if (peer < 0) return;
        talk(peer);
        close(peer);
      }
    });
  }
  ~TcpPeer() {
    shutdown(fd_, SHUT_RDWR);
    thread_.join();
    close(fd_);
  }
  std::string address() const { return StrCat("127.0.0.1:", port); }
  int port = 0;

 private:
  const int fd_;
  std::thread thread_;
};

std::string ReadRequest(int fd) {
  std::string text;
  char buffer[4096];
  while (text.find("\r\n\r\n") == std::string::npos) {
    const ssize_t n = recv(fd, buffer, sizeof buffer, 0);
    if (n <= 0) break;
    text.append(buffer, static_cast<size_t>(n));
  }
  return text;
}

void Say(int fd, const std::string& text) { (void)!send(fd, text.data(), text.size(), MSG_NOSIGNAL); }

double ValueOf(const ProbeResult& result, const std::string& wanted) {
  for (const MetricFamily& f : result.families) {
    for (const FamilySample& s : f.samples) {
      if (s.labels.ToString() == StrCat("{__name__=\"", wanted) || s.labels.ToString() == wanted ||
          (f.name == wanted && f.samples.size() == 1)) {
        return s.value;
      }
    }
  }
  return -100;
}

ProbeModule Module(const std::string& yaml) {
  const auto modules = ParseProbeModules("modules: {m: " + yaml + "}\n", "blackbox.yml");
  EXPECT_TRUE(modules.ok()) << modules.status().ToString();
  return modules.ok() ? modules->at("m") : ProbeModule();
}

TEST(ProbeModules, MistakesNameTheirPlace) {
  for (const char* text :
       {"{prober: smtp}", "{}", "{prober: http, http: {fail_if_body_matches_regexp: ['(']}}",
        "{prober: http, http: {nosuch: 1}}", "{prober: dns}", "{prober: dns, dns: {query_name: a, query_type: NOPE}}",
        "{prober: tcp, tcp: {source_ip_address: 1.2.3.4}}"}) {
    const auto modules = ParseProbeModules(StrCat("modules:\n  m: ", text, "\n"), "blackbox.yml");
    ASSERT_FALSE(modules.ok()) << text;
    EXPECT_TRUE(modules.status().message().starts_with("blackbox.yml:2:")) << modules.status().ToString();
  }
  EXPECT_EQ(DefaultProbeModules().at("http_2xx").prober, "http");
  EXPECT_FALSE(ParseProbeTarget("nosuch=x", DefaultProbeModules()).ok());
  EXPECT_EQ(ParseProbeTarget("http_2xx=http://a?b=c", DefaultProbeModules())->target, "http://a?b=c");
}

TEST(Probe, HttpSaysWhatItSaw) {
  TcpPeer peer([](int fd) {
    const std::string request = ReadRequest(fd);
    if (request.starts_with("GET /move ")) {
      Say(fd, "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    } else if (request.starts_with("GET /ok ")) {
      Say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: yes\r\nLast-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\nConnection: close\r\n\r\nhello");
    } else {
      Say(fd, "HTTP/1.1 503 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
  });
  const std::string base = "http://" + peer.address();
  const ProbeResult good = RunProbe(Module("{prober: http}"), base + "/move", 5000);
  EXPECT_TRUE(good.success) << good.log;
  EXPECT_EQ(ValueOf(good, "probe_success"), 1);
  EXPECT_EQ(ValueOf(good, "probe_http_status_code"), 200);
  EXPECT_EQ(ValueOf(good, "probe_http_redirects"), 1);
  EXPECT_EQ(ValueOf(good, "probe_http_version"), 1.1);
  EXPECT_EQ(ValueOf(good, "probe_http_content_length"), 5);
  EXPECT_EQ(ValueOf(good, "probe_http_uncompressed_body_length"), 5);
  EXPECT_EQ(ValueOf(good, "probe_http_last_modified_timestamp_seconds"), 1445412480);
  EXPECT_EQ(ValueOf(good, "probe_ip_protocol"), 4);
  EXPECT_EQ(ValueOf(good, "probe_http_ssl"), 0);
  EXPECT_EQ(ValueOf(good, "probe_failed_due_to_regex"), 0);
  EXPECT_GT(ValueOf(good, "probe_duration_seconds"), 0);

  const ProbeResult bad = RunProbe(Module("{prober: http}"), base + "/x", 5000);
  EXPECT_FALSE(bad.success);
  EXPECT_EQ(ValueOf(bad, "probe_http_status_code"), 503);
  EXPECT_TRUE(RunProbe(Module("{prober: http, http: {valid_status_codes: [503]}}"), base + "/x", 5000).success);
  const struct {
    const char* http;
    bool success;
    double regex;
  } kCases[] = {{"{fail_if_body_matches_regexp: ['hel+o']}", false, 1},
                {"{fail_if_body_not_matches_regexp: ['hel+o']}", true, 0},
                {"{fail_if_header_matches: [{header: X-A, regexp: yes}]}", false, 1},
                {"{fail_if_header_not_matches: [{header: X-B, regexp: yes}]}", false, 1},
                {"{fail_if_header_not_matches: [{header: X-B, regexp: yes, allow_missing: true}]}", true, 0},
                {"{fail_if_not_ssl: true}", false, 0},
                {"{valid_http_versions: [HTTP/2]}", false, 0},
                {"{follow_redirects: false}", true, 0}};
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.http);
    const ProbeResult got = RunProbe(Module(StrCat("{prober: http, http: ", c.http, "}")), base + "/ok", 5000);
    EXPECT_EQ(got.success, c.success) << got.log;
    EXPECT_EQ(ValueOf(got, "probe_failed_due_to_regex"), c.regex);
  }
  EXPECT_FALSE(RunProbe(Module("{prober: http}"), "http://127.0.0.1:1/", 2000).success);
  // Where clouds keep a machine's keys nobody looks for anybody.
  for (const char* url : {"http://169.254.169.254/latest", "http://[::ffff:169.254.169.254]/latest",
                          "http://[fd00:ec2::254]/latest"}) {
    const ProbeResult keys = RunProbe(Module("{prober: http}"), url, 2000);
    EXPECT_FALSE(keys.success) << url;
    EXPECT_NE(keys.log.find("link-local"), std::string::npos) << url << ": " << keys.log;
  }
}

TEST(Probe, TcpExpectsAndSends) {
  TcpPeer peer([](int fd) {
    Say(fd, "noise\r\n220 mail.example ready\r\n");
    char buffer[256] = {};
    const ssize_t n = recv(fd, buffer, sizeof buffer, 0);
    Say(fd, n > 0 && std::string(buffer, static_cast<size_t>(n)) == "HELO mail.example\n" ? "250 ok\r\n" : "500 no\r\n");
  });
  const std::string module = "{prober: tcp, tcp: {query_response: [{expect: '^220 (\\S+)'}, {send: 'HELO ${1}'}, {expect: '^250'}]}}";
  const ProbeResult good = RunProbe(Module(module), peer.address(), 5000);
  EXPECT_TRUE(good.success) << good.log;
  EXPECT_EQ(ValueOf(good, "probe_failed_due_to_regex"), 0);
  const ProbeResult bad = RunProbe(Module("{prober: tcp, tcp: {query_response: [{expect: '^999'}]}}"), peer.address(), 300);
  EXPECT_FALSE(bad.success);
  EXPECT_EQ(ValueOf(bad, "probe_failed_due_to_regex"), 1);
  EXPECT_FALSE(RunProbe(Module("{prober: tcp}"), "127.0.0.1:1", 1000).success);
  EXPECT_FALSE(RunProbe(Module("{prober: tcp}"), "127.0.0.1", 1000).success);
}

TEST(DnsMessage, AsksAndReads) {
  const auto query = MakeDnsQuery(0x1234, "a.example.", 6, 1, true);
  ASSERT_TRUE(query.ok());
  EXPECT_EQ(*query, std::string("\x12\x34\1\0\0\1\0\0\0\0\0\0\1a\7example\0\0\6\0\1", 27));
  EXPECT_FALSE(MakeDnsQuery(1, "a..b", 1, 1, true).ok());
  std::string answer = *query;
  answer[2] = '\x84';
  answer[7] = 1;
  answer += std::string("\xc0\x0c\0\6\0\1\0\0\0\1\0\x1a\1n\0\1m\0\0\0\0\x2a", 22) + std::string(16, '\0');
  const auto read = ReadDnsAnswer(answer);
  ASSERT_TRUE(read.ok());
  EXPECT_TRUE(read->response);
  EXPECT_EQ(read->answers, 1);
  EXPECT_EQ(read->serial, 42);
  for (size_t n = 0; n < answer.size(); ++n) (void)ReadDnsAnswer(answer.substr(0, n));
}

TEST(Probe, DnsAsksARealServer) {
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  socklen_t size = sizeof address;
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  std::thread server([fd] {
    char buffer[512];
    sockaddr_in from{};
    for (int i = 0; i < 2; ++i) {
      socklen_t length = sizeof from;
      const ssize_t n = recvfrom(fd, buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &length);
      if (n < 12) return;
      buffer[2] = '\x84';
      buffer[3] = static_cast<char>(i == 0 ? 0 : 3);  // NOERROR, then NXDOMAIN.
      sendto(fd, buffer, static_cast<size_t>(n), 0, reinterpret_cast<sockaddr*>(&from), length);
    }
  });
  const std::string target = StrCat("127.0.0.1:", ntohs(address.sin_port));
  const ProbeModule module = Module("{prober: dns, dns: {query_name: a.example, query_type: A}}");
  const ProbeResult good = RunProbe(module, target, 5000);
  EXPECT_TRUE(good.success) << good.log;
  const ProbeResult bad = RunProbe(module, target, 5000);
  EXPECT_FALSE(bad.success);
  EXPECT_EQ(ValueOf(bad, "probe_dns_query_succeeded"), 1);
  server.join();
  close(fd);
}

TEST(Probe, CollectedProbesSayTheirTarget) {
  auto collector = MakeProbeCollector(Module("{prober: tcp}"), {"tcp_connect", "127.0.0.1:1"}, 1000);
  MetricSink sink;
  ASSERT_TRUE(collector->Collect(sink).ok());
  bool found = false;
  for (const MetricFamily& f : sink.Take()) {
    if (f.name != "probe_success") continue;
    found = true;
    EXPECT_EQ(f.samples[0].labels.ToString(),
              R"({__name__="probe_success", module="tcp_connect", target="127.0.0.1:1"})");
    EXPECT_EQ(f.samples[0].value, 0);
  }
  EXPECT_TRUE(found);
}

}  // namespace
}  // namespace vedette::agent
