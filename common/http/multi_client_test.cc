#include "common/http/multi_client.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/strings.h"

namespace vedette::http {
namespace {

// A server that says byte for byte what a test wants it to, one connection after the other.
class RawServer {
 public:
  struct Reply {
    std::string bytes;
    bool close = false;  // The connection, after them.
  };
  using Handler = std::function<Reply(std::string_view head)>;

  explicit RawServer(Handler handler) : handler_(std::move(handler)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&at), size), 0);
    EXPECT_EQ(listen(listener_, 64), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size), 0);
    port_ = ntohs(at.sin_port);
    thread_ = std::thread([this] { AcceptLoop(); });
  }
  ~RawServer() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    {
      MutexLock lock(mu_);
      for (int fd : open_) shutdown(fd, SHUT_RDWR);
    }
    for (std::thread& t : peers_) t.join();
    close(listener_);
  }

  std::string Url(std::string_view path, std::string_view host = "127.0.0.1") const {
    return StrCat("http://", host, ":", port_, path);
  }
  int accepted() const { return accepted_; }

 private:
  void AcceptLoop() {
    for (int fd; (fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
      ++accepted_;
      MutexLock lock(mu_);
      open_.push_back(fd);
      peers_.emplace_back([this, fd] { Serve(fd); });
    }
  }
  void Serve(int fd) {
    std::string in;
    char piece[4096];
    for (bool more = true; more;) {
      const ssize_t n = recv(fd, piece, sizeof piece, 0);
      if (n <= 0) break;
      in.append(piece, static_cast<size_t>(n));
      for (size_t end; more && (end = in.find("\r\n\r\n")) != std::string::npos;) {
        const Reply reply = handler_(std::string_view(in).substr(0, end));
        in.erase(0, end + 4);
        (void)send(fd, reply.bytes.data(), reply.bytes.size(), MSG_NOSIGNAL);
        more = !reply.close;
      }
    }
    MutexLock lock(mu_);
    std::erase(open_, fd);
    close(fd);
  }

  const Handler handler_;
  int listener_ = -1;
  uint16_t port_ = 0;
  std::atomic<int> accepted_{0};
  std::thread thread_;
  std::vector<std::thread> peers_;
  Mutex mu_;
  std::vector<int> open_ VEDETTE_GUARDED_BY(mu_);
};

RawServer::Reply Ok(std::string_view body, std::string_view headers = "") {
  return {StrCat("HTTP/1.1 200 OK\r\n", headers, "Content-Length: ", body.size(), "\r\n\r\n", body)};
}

// Submits and waits.
Result<ClientResponse> Get(MultiClient& multi, ClientRequest request,
                           std::shared_ptr<const ClientOptions> options = nullptr) {
  if (options == nullptr) options = std::make_shared<const ClientOptions>();
  Mutex mu;
  CondVar changed;
  std::unique_ptr<Result<ClientResponse>> got;
  multi.Submit(options, std::move(request), [&](Result<ClientResponse> answer) {
    MutexLock lock(mu);
    got = std::make_unique<Result<ClientResponse>>(std::move(answer));
    changed.NotifyAll();
  });
  MutexLock lock(mu);
  while (got == nullptr) changed.Wait(mu);
  return std::move(*got);
}

TEST(MultiClient, AConnectionServesOneRequestAfterTheOther) {
  RawServer server([](std::string_view head) { return Ok(head.substr(0, head.find('\n'))); });
  MultiClient multi("multi");
  for (int i = 0; i < 5; ++i) {
    const Result<ClientResponse> answer = Get(multi, {.url = server.Url("/metrics?x=1")});
    ASSERT_TRUE(answer.ok()) << answer.status().ToString();
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(answer->body, "GET /metrics?x=1 HTTP/1.1\r");
    EXPECT_EQ(answer->final_url, server.Url("/metrics?x=1"));
  }
  EXPECT_EQ(server.accepted(), 1);
}

TEST(MultiClient, WhatIsAskedForIsSaid) {
  RawServer server([](std::string_view head) { return Ok(head); });
  MultiClient multi("multi");
  auto options = std::make_shared<ClientOptions>();
  options->user_agent = "tester";
  options->headers.emplace_back("X-Both", "of the options");
  options->headers.emplace_back("X-Mine", "mine");
  ClientRequest request{.url = server.Url("")};
  request.headers.Set("x-both", "of the request");
  const Result<ClientResponse> answer = Get(multi, std::move(request), options);
  ASSERT_TRUE(answer.ok()) << answer.status().ToString();
  const std::string expected =
      StrCat("GET / HTTP/1.1\r\nHost: ", server.Url("").substr(7),
             "\r\nUser-Agent: tester\r\nAccept: */*\r\nAccept-Encoding: zstd, gzip\r\n"
             "X-Mine: mine\r\nx-both: of the request");
  EXPECT_EQ(answer->body, expected);
}

// Between two scrapes a server may close the connection without a word.
TEST(MultiClient, AConnectionThatDiedMeanwhileCostsNoRequest) {
  RawServer server([](std::string_view) {
    RawServer::Reply reply = Ok("good");
    reply.close = true;
    return reply;
  });
  MultiClient multi("multi");
  for (int i = 0; i < 20; ++i) {
    const Result<ClientResponse> answer = Get(multi, {.url = server.Url("/")});
    ASSERT_TRUE(answer.ok()) << answer.status().ToString();
    EXPECT_EQ(answer->body, "good");
  }
}

TEST(MultiClient, AHostNameIsFoundAndRemembered) {
  RawServer server([](std::string_view) { return Ok("named"); });
  MultiClient multi("multi");
  for (int i = 0; i < 3; ++i) {
    const Result<ClientResponse> answer = Get(multi, {.url = server.Url("/", "localhost")});
    ASSERT_TRUE(answer.ok()) << answer.status().ToString();
    EXPECT_EQ(answer->body, "named");
  }
  EXPECT_EQ(server.accepted(), 2);  // The first by whoever looked the name up.
}

TEST(MultiClient, RedirectsAreFollowedWhereTheyMayBe) {
  RawServer server([](std::string_view head) {
    if (head.find("GET /there ") == 0) return Ok("arrived");
    return RawServer::Reply{
        "HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n"};
  });
  MultiClient multi("multi");
  Result<ClientResponse> answer = Get(multi, {.url = server.Url("/here")});
  ASSERT_TRUE(answer.ok()) << answer.status().ToString();
  EXPECT_EQ(answer->body, "arrived");
  EXPECT_EQ(answer->final_url, server.Url("/there"));
  auto stay = std::make_shared<ClientOptions>();
  stay->follow_redirects = false;
  answer = Get(multi, {.url = server.Url("/here")}, stay);
  ASSERT_TRUE(answer.ok()) << answer.status().ToString();
  EXPECT_EQ(answer->status, 302);
}

TEST(MultiClient, NoRedirectCarriesCredentialsToAnotherHost) {
  Mutex mu;
  std::string seen;  // By the other host.
  RawServer other([&](std::string_view head) {
    MutexLock lock(mu);
    seen += head;
    return Ok("arrived");
  });
  std::string to;
  RawServer first([&](std::string_view head) {
    // Basic is "u:hidden" in base64.
    EXPECT_TRUE(head.find("hidden") != std::string::npos ||
                head.find("dTpoaWRkZW4=") != std::string::npos)
        << head;
    if (head.find("GET /there ") == 0) return Ok("at home");
    return RawServer::Reply{
        StrCat("HTTP/1.1 302 Found\r\nLocation: ", to, "\r\nContent-Length: 0\r\n\r\n")};
  });
  MultiClient multi("multi");
  ClientOptions basic, bearer, header, cookie;
  basic.username = "u";
  basic.password = "hidden";
  bearer.credentials = "hidden";
  header.headers = {{"X-Api-Key", "hidden"}};
  cookie.headers = {{"Cookie", "session=hidden"}};
  for (const ClientOptions& options : {basic, bearer, header, cookie}) {
    const auto shared = std::make_shared<const ClientOptions>(options);
    to = "/there";
    Result<ClientResponse> answer = Get(multi, {.url = first.Url("/here")}, shared);
    ASSERT_TRUE(answer.ok()) << answer.status().ToString();
    EXPECT_EQ(answer->body, "at home");
    // Once over a new connection, and once over one that is there.
    for (int i = 0; i < 2; ++i) {
      to = other.Url("/elsewhere");
      answer = Get(multi, {.url = first.Url("/here")}, shared);
      if (options.headers.empty()) {
        ASSERT_TRUE(answer.ok()) << answer.status().ToString();
        EXPECT_EQ(answer->body, "arrived");
      } else {
        EXPECT_EQ(answer.status().code(), StatusCode::kPermissionDenied)
            << answer.status().ToString();
      }
    }
  }
  MutexLock lock(mu);
  EXPECT_NE(seen.find("GET /elsewhere"), std::string::npos);
  EXPECT_EQ(seen.find("hidden"), std::string::npos) << seen;
  EXPECT_EQ(seen.find("Authorization"), std::string::npos) << seen;
}

TEST(MultiClient, APostThatWasAnsweredIsDoneThoughItsAnswerBreaksOff) {
  RawServer server([](std::string_view) {
    return RawServer::Reply{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", /*close=*/true};
  });
  MultiClient multi("multi");
  const Result<ClientResponse> posted =
      Get(multi, {.method = "POST", .url = server.Url("/"), .headers = {}, .body = ""});
  ASSERT_TRUE(posted.ok()) << posted.status().ToString();
  EXPECT_EQ(posted->status, 200);
  EXPECT_FALSE(Get(multi, {.url = server.Url("/")}).ok());
}

TEST(MultiClient, NoRedirectLeadsToTheKeysOfTheMachine) {
  for (const char* to :
       {"169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "[::ffff:169.254.169.254]"}) {
    SCOPED_TRACE(to);
    RawServer server([&](std::string_view) {
      return RawServer::Reply{StrCat("HTTP/1.1 302 Found\r\nLocation: http://", to,
                                     "/latest/meta-data/\r\nContent-Length: 0\r\n\r\n")};
    });
    MultiClient multi("multi");
    const Result<ClientResponse> answer = Get(multi, {.url = server.Url("/"), .timeout_ms = 5000});
    EXPECT_EQ(answer.status().code(), StatusCode::kPermissionDenied) << answer.status().ToString();
  }
}

TEST(MultiClient, ABodyComesAsItWasSentAndIsDecodedByItsReader) {
  // "hi".
  const std::string gzip("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\xc8\x04\x00\xac\x2a\x93\xd8"
                         "\x02\x00\x00\x00",
                         22);
  RawServer server([&](std::string_view) {
    return RawServer::Reply{StrCat(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n",
        gzip.substr(0, 4), "\r\n12\r\n", gzip.substr(4), "\r\n0\r\n\r\n")};
  });
  MultiClient multi("multi");
  Result<ClientResponse> answer = Get(multi, {.url = server.Url("/")});
  ASSERT_TRUE(answer.ok()) << answer.status().ToString();
  EXPECT_EQ(answer->body, gzip);
  EXPECT_EQ(answer->wire_bytes, 22);
  ASSERT_TRUE(DecodeBody(*answer, 2, &multi.buffers()).ok());
  EXPECT_EQ(answer->body, "hi");
  EXPECT_FALSE(answer->headers.Has("Content-Encoding"));
  answer = Get(multi, {.url = server.Url("/")});
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(DecodeBody(*answer, 1).code(), StatusCode::kResourceExhausted);
}

TEST(MultiClient, FailuresHaveTheirKind) {
  RawServer server([](std::string_view head) {
    if (head.find("/half") != head.npos) {
      return RawServer::Reply{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", true};
    }
    if (head.find("/ssh") != head.npos) return RawServer::Reply{"SSH-2.0-x\r\n\r\n", true};
    if (head.find("/silent") != head.npos) return RawServer::Reply{};
    return Ok("12345");
  });
  MultiClient multi("multi");
  EXPECT_EQ(Get(multi, {.url = server.Url("/half")}).status().code(), StatusCode::kUnavailable);
  EXPECT_FALSE(Get(multi, {.url = server.Url("/ssh")}).ok());
  EXPECT_EQ(Get(multi, {.url = server.Url("/silent"), .timeout_ms = 50}).status().code(),
            StatusCode::kDeadlineExceeded);
  const Status large = Get(multi, {.url = server.Url("/"), .max_body_bytes = 4}).status();
  EXPECT_EQ(large.code(), StatusCode::kResourceExhausted);
  EXPECT_NE(large.message().find("over the limit of 4 bytes"), std::string_view::npos);
  EXPECT_TRUE(Get(multi, {.url = server.Url("/"), .max_body_bytes = 5}).ok());
  std::string nobody;
  {
    RawServer gone([](std::string_view) { return Ok(""); });
    nobody = gone.Url("/");
  }
  EXPECT_EQ(Get(multi, {.url = nobody}).status().code(), StatusCode::kUnavailable);
}

}  // namespace
}  // namespace vedette::http
