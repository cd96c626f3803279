#include "common/http/server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "common/compress/compress.h"
#include "common/http/basic_auth.h"
#include "common/http/client.h"
#include "common/http/multi_client.h"

namespace vedette::http {
namespace {

// A raw connection, for what no proper client would send.
class RawClient {
 public:
  explicit RawClient(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~RawClient() { Close(); }
  void Close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  bool connected() const { return connected_; }
  void Send(std::string_view text) { (void)!::send(fd_, text.data(), text.size(), MSG_NOSIGNAL); }
  // Until the server closes.
  std::string ReadAll() {
    std::string out;
    char piece[4096];
    for (ssize_t n; (n = ::recv(fd_, piece, sizeof piece, 0)) > 0;) out.append(piece, size_t(n));
    return out;
  }

 private:
  int fd_;
  bool connected_ = false;
};

struct Event {
  void Set() {
    MutexLock lock(mu);
    set = true;
    changed.NotifyAll();
  }
  void Wait() {
    MutexLock lock(mu);
    while (!set) changed.Wait(mu);
  }
  Mutex mu;
  CondVar changed;
  bool set VEDETTE_GUARDED_BY(mu) = false;
};

Router EchoRouter() {
  Router router;
  router.Handle("GET", "/hello",
                [](const Request&, Response& r) { r.SetBody("text/plain", "hi"); });
  router.HandleGetPost("/echo", [](const Request& q, Response& r) {
    std::string out;
    for (const auto& [k, v] : q.params) out += k + "=" + v + ";";
    r.SetBody("text/plain", out + "|" + q.body);
  });
  router.Handle("GET", "/big", [](const Request&, Response& r) {
    r.SetBody("application/json", std::string(3'000'000, 'x'));
  });
  return router;
}

std::unique_ptr<Server> Start(Router router, ServerOptions options = {}) {
  Result<std::unique_ptr<Server>> server = Server::Start(std::move(options), std::move(router));
  if (!server.ok()) ADD_FAILURE() << server.status().ToString();
  return std::move(*server);
}

std::string Url(const Server& server, std::string_view path, std::string_view scheme = "http") {
  return StrCat(scheme, "://127.0.0.1:", server.ports()[0], path);
}

TEST(Server, AnswersGetPostHeadAndUnknown) {
  auto server = Start(EchoRouter());
  Client client({});
  auto got = client.Do({.url = Url(*server, "/echo?a=1&a=2&b=%20+")});
  ASSERT_TRUE(got.ok()) << got.status().ToString();
  EXPECT_EQ(got->body, "a=1;a=2;b=  ;|");
  got = client.Do({.method = "POST",
                   .url = Url(*server, "/echo?a=1"),
                   .headers = {{"Content-Type", "application/x-www-form-urlencoded"}},
                   .body = "m%5B%5D=x"});
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got->body, "a=1;m[]=x;|m%5B%5D=x");
  got = client.Do({.method = "HEAD", .url = Url(*server, "/hello")});
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got->headers.Get("content-length"), "2");
  EXPECT_EQ(got->body, "");
  EXPECT_EQ(client.Do({.url = Url(*server, "/none")})->status, 404);
  got = client.Do({.method = "DELETE", .url = Url(*server, "/hello")});
  EXPECT_EQ(got->status, 405);
  EXPECT_EQ(got->headers.Get("Allow"), "GET, HEAD");
  EXPECT_EQ(server->stats().accepted, 1);  // One kept-alive connection for all.
}

TEST(Server, CompressesBothWays) {
  auto server = Start(EchoRouter());
  Client client({});
  auto got = client.Do({.url = Url(*server, "/big")});
  ASSERT_TRUE(got.ok()) << got.status().ToString();
  EXPECT_EQ(got->body.size(), 3'000'000u);
  EXPECT_LT(got->wire_bytes, 100'000);
  got = client.Do({.url = Url(*server, "/big"), .headers = {{"Accept-Encoding", "gzip;q=0"}}});
  EXPECT_EQ(got->wire_bytes, 3'000'000);
  for (auto encoding :
       {compress::Encoding::kGzip, compress::Encoding::kZstd, compress::Encoding::kSnappy,
        compress::Encoding::kDeflate}) {
    ClientRequest request{.method = "POST", .url = Url(*server, "/echo")};
    ASSERT_TRUE(compress::Compress(encoding, "plain", request.body).ok());
    request.headers.Set("Content-Encoding", compress::EncodingName(encoding));
    EXPECT_EQ(client.Do(request)->body, "|plain");
  }
}

TEST(Server, LimitsAreNamed) {
  ServerOptions options;
  options.max_body_bytes = 1000;
  auto server = Start(EchoRouter(), options);
  Client client({});
  auto got =
      client.Do({.method = "POST", .url = Url(*server, "/echo"), .body = std::string(1001, 'x')});
  ASSERT_TRUE(got.ok()) << got.status().ToString();
  EXPECT_EQ(got->status, 413);
  EXPECT_NE(got->body.find("1000 bytes"), std::string::npos) << got->body;
  ClientRequest bomb{.method = "POST", .url = Url(*server, "/echo")};
  ASSERT_TRUE(
      compress::Compress(compress::Encoding::kGzip, std::string(100'000, 'x'), bomb.body).ok());
  bomb.headers.Set("Content-Encoding", "gzip");
  EXPECT_EQ(client.Do(bomb)->status, 413);
  got = client.Do({.url = Url(*server, "/hello"), .headers = {{"X", std::string(20'000, 'h')}}});
  EXPECT_EQ(got->status, 431);
  RawClient raw(server->ports()[0]);
  raw.Send("rubbish\r\n\r\n");
  EXPECT_TRUE(raw.ReadAll().starts_with("HTTP/1.1 400 "));
}

TEST(Server, HalfSentRequestsDoNotStarveAnHonestOne) {
  ServerOptions options;
  options.max_connections = 64;
  options.max_connections_per_peer = 0;
  auto server = Start(EchoRouter(), options);
  std::vector<std::unique_ptr<RawClient>> slow;
  for (int i = 0; i < 600; ++i) {
    slow.push_back(std::make_unique<RawClient>(server->ports()[0]));
    slow.back()->Send("GET /hello HTTP/1.1\r\nHost:");
  }
  auto got = Client({}).Do({.url = Url(*server, "/hello"), .timeout_ms = 5'000});
  ASSERT_TRUE(got.ok()) << got.status().ToString();
  EXPECT_EQ(got->body, "hi");
  EXPECT_GT(server->stats().evicted, 500);
  EXPECT_LE(server->stats().connections, 64);
}

TEST(Server, WhoConnectsTooOftenIsToldSo) {
  ServerOptions options;
  options.max_connections_per_second = 1;
  auto server = Start(EchoRouter(), options);
  const auto ask = [&] {
    RawClient client(server->ports()[0]);
    client.Send("GET /hello HTTP/1.0\r\n\r\n");
    return client.ReadAll();
  };
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(ask().starts_with("HTTP/1.1 200 ")) << i;
  std::string told;
  for (int i = 0; i < 100 && !told.starts_with("HTTP/1.1 429 "); ++i) told = ask();
  EXPECT_TRUE(told.starts_with("HTTP/1.1 429 ")) << told;
  EXPECT_NE(told.find("--web.max-connections-per-second"), std::string::npos) << told;
}

TEST(Server, MoreThanMayWaitForAThreadAreRefused) {
  Event release;
  Router router;
  router.Handle("GET", "/wait", [&](const Request&, Response& r) {
    release.Wait();
    r.SetBody("text/plain", "late");
  });
  ServerOptions options;
  options.worker_threads = 1;
  options.max_queued_requests = 1;
  auto server = Start(std::move(router), options);
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 9; ++i) {
    clients.push_back(std::make_unique<RawClient>(server->ports()[0]));
    clients.back()->Send("GET /wait HTTP/1.0\r\n\r\n");
  }
  while (server->stats().requests < 9) std::this_thread::yield();
  release.Set();
  int answered = 0;
  int refused = 0;
  for (const auto& client : clients) {
    const std::string answer = client->ReadAll();
    answered += answer.starts_with("HTTP/1.1 200 ") ? 1 : 0;
    if (!answer.starts_with("HTTP/1.1 503 ")) continue;
    ++refused;
    EXPECT_NE(answer.find("--web.max-queued-requests"), std::string::npos) << answer;
  }
  EXPECT_EQ(answered + refused, 9);
  EXPECT_GE(answered, 1);
  EXPECT_GE(refused, 5);
}

TEST(Server, AClientThatLeavesCancelsItsRequest) {
  Event begun, cancelled;
  Router router;
  router.Handle("GET", "/wait", [&](const Request& request, Response&) {
    request.cancellation->OnCancel([&] { cancelled.Set(); });
    begun.Set();
    cancelled.Wait();
    EXPECT_TRUE(request.cancelled());
  });
  auto server = Start(std::move(router));
  RawClient raw(server->ports()[0]);
  raw.Send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
  begun.Wait();
  raw.Close();
  cancelled.Wait();
}

TEST(Server, StreamsInChunksAndFailsHonestly) {
  Router router;
  router.Handle("GET", "/stream", [](const Request&, Response& r) {
    r.Stream("application/x-ndjson", [](BodyWriter& out) -> Status {
      for (int i = 0; i < 20'000; ++i) VEDETTE_RETURN_IF_ERROR(out.Write(StrCat("line ", i, "\n")));
      return out.Flush();
    });
  });
  router.Handle("GET", "/early", [](const Request&, Response& r) {
    r.Stream("text/plain", [](BodyWriter&) { return Internal("broken early"); });
  });
  router.Handle("GET", "/late", [](const Request&, Response& r) {
    r.StreamForLong("text/plain", [](BodyWriter& out) -> Status {
      VEDETTE_RETURN_IF_ERROR(out.Write("some"));
      VEDETTE_RETURN_IF_ERROR(out.Flush());
      return Internal("broken late");
    });
  });
  auto server = Start(std::move(router));
  for (bool compressed : {false, true}) {
    ClientOptions options;
    options.accept_compressed = compressed;
    auto got = Client(options).Do({.url = Url(*server, "/stream")});
    ASSERT_TRUE(got.ok()) << got.status().ToString();
    EXPECT_TRUE(got->body.ends_with("line 19999\n"));
    EXPECT_EQ(got->wire_bytes < int64_t(got->body.size()), compressed);
  }
  Client client({});
  EXPECT_EQ(client.Do({.url = Url(*server, "/early")})->status, 500);
  EXPECT_FALSE(client.Do({.url = Url(*server, "/late")}).ok());
}

TEST(Server, StopLetsRunningRequestsFinish) {
  Event begun, go_on;
  Router router;
  router.Handle("GET", "/slow", [&](const Request&, Response& r) {
    begun.Set();
    go_on.Wait();
    r.SetBody("text/plain", "done");
  });
  auto server = Start(std::move(router));
  std::string body;
  std::thread asker([&] {
    auto got = Client({}).Do({.url = Url(*server, "/slow")});
    body = got.ok() ? got->body : got.status().ToString();
  });
  begun.Wait();
  std::thread stopper([&] { server->Stop(10'000); });
  go_on.Set();
  stopper.join();
  asker.join();
  EXPECT_EQ(body, "done");
}

TEST(Server, AskingForATakenPortIsRefused) {
  auto server = Start(EchoRouter());
  ServerOptions options;
  options.listen = {StrCat("127.0.0.1:", server->ports()[0])};
  EXPECT_EQ(Server::Start(options, EchoRouter()).status().code(), StatusCode::kUnavailable);
  options.listen = {"nonsense"};
  EXPECT_EQ(Server::Start(options, EchoRouter()).status().code(), StatusCode::kInvalidArgument);
}

TEST(BasicAuth, OnlyTheRightPasswordPasses) {
  // bcrypt's published vector: "U*U" at cost 5.
  auto auth = std::make_shared<BasicAuth>(
      BasicAuth::Users{{"ann", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"}});
  EXPECT_TRUE(auth->Check("ann", "U*U"));
  EXPECT_TRUE(auth->Check("ann", "U*U"));
  EXPECT_FALSE(auth->Check("ann", std::string_view("U*U\0x", 5)));
  EXPECT_FALSE(auth->Check("ann", "u*u"));
  EXPECT_FALSE(auth->Check("bob", "U*U"));
  Router router = EchoRouter();
  router.Handle("GET", "/-/healthy",
                [](const Request&, Response& r) { r.SetBody("text/plain", "ok"); }, {.open = true});
  router.Use(BasicAuthFilter(auth));
  auto server = Start(std::move(router));
  EXPECT_EQ(Client({}).Do({.url = Url(*server, "/hello")})->status, 401);
  EXPECT_EQ(Client({}).Do({.url = Url(*server, "/none")})->status, 401);
  EXPECT_EQ(Client({}).Do({.url = Url(*server, "/-/healthy")})->status, 200);
  ClientOptions options;
  options.username = "ann";
  options.password = "U*U";
  EXPECT_EQ(Client(options).Do({.url = Url(*server, "/hello")})->status, 200);
}

// A self-signed certificate for 127.0.0.1, and its PEM.
std::shared_ptr<SSL_CTX> MakeContext(std::string& pem) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 86'400);
  X509_set_pubkey(certificate, key);
  X509_NAME* name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  X509_EXTENSION* san =
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1,DNS:node");
  X509_add_ext(certificate, san, -1);
  X509_EXTENSION_free(san);
  X509_sign(certificate, key, EVP_sha256());
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, certificate);
  char* data = nullptr;
  const long n = BIO_get_mem_data(bio, &data);
  pem.assign(data, size_t(n));
  BIO_free(bio);
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  SSL_CTX_use_certificate(context.get(), certificate);
  SSL_CTX_use_PrivateKey(context.get(), key);
  X509_free(certificate);
  EVP_PKEY_free(key);
  return context;
}

TEST(Server, SpeaksTlsAndTakesARenewedCertificate) {
  std::string first_pem, second_pem;
  auto first = MakeContext(first_pem), second = MakeContext(second_pem);
  std::atomic<bool> renewed{false};
  ServerOptions options;
  options.tls_context = [&] { return renewed ? second : first; };
  auto server = Start(EchoRouter(), options);
  const auto ask = [&](const std::string& ca, const std::string& name) {
    ClientOptions o;
    o.tls.ca = ca;
    o.tls.server_name = name;
    return Client(o).Do({.url = Url(*server, "/big", "https")});
  };
  auto got = ask(first_pem, "");
  ASSERT_TRUE(got.ok()) << got.status().ToString();
  EXPECT_EQ(got->body.size(), 3'000'000u);
  EXPECT_TRUE(ask(first_pem, "node").ok());
  EXPECT_EQ(ask(first_pem, "other").status().code(), StatusCode::kUnauthenticated);
  EXPECT_EQ(ask(second_pem, "").status().code(), StatusCode::kUnauthenticated);
  renewed = true;
  EXPECT_TRUE(ask(second_pem, "").ok());
  EXPECT_FALSE(ask(first_pem, "").ok());
}

TEST(Client, LimitsCancelsAndKeepsSecrets) {
  auto server = Start(EchoRouter());
  Client client({});
  auto got = client.Do({.url = Url(*server, "/big"), .max_body_bytes = 1000});
  EXPECT_EQ(got.status().code(), StatusCode::kResourceExhausted) << got.status().ToString();
  std::atomic<bool> cancelled{true};
  EXPECT_EQ(client.Do({.url = Url(*server, "/big")}, &cancelled).status().code(),
            StatusCode::kCancelled);
  got = client.Do({.url = "http://user:hunter22@127.0.0.1:1/x?token=abc"});
  EXPECT_EQ(got.status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(got.status().ToString().find("hunter22"), std::string::npos) << got.status().ToString();
  EXPECT_EQ(got.status().ToString().find("abc"), std::string::npos);
  EXPECT_EQ(client.Do({.url = "file:///etc/passwd"}).status().code(), StatusCode::kInvalidArgument);
}

TEST(Client, ATokenThatWasWithdrawnIsReplacedWithinTheRequest) {
  std::atomic<int> given{0}, holds_from{1};
  Router router;
  router.Handle("POST", "/token", [&](const Request&, Response& r) {
    r.SetBody("application/json",
              StrCat(R"({"access_token":"t)", ++given, R"(","expires_in":3600})"));
  });
  router.Handle("POST", "/write", [&](const Request& q, Response& r) {
    const bool good =
        given >= holds_from && q.headers.Get("Authorization") == StrCat("Bearer t", given.load());
    r.status = good ? 200 : 401;
    r.SetBody("text/plain", q.body);
  });
  auto server = Start(std::move(router));
  ClientOptions options;
  options.oauth2 = OAuth2Options{.client_id = "me", .client_secret = "s", .token_url = Url(*server, "/token")};
  Client client(options);
  const ClientRequest write{.method = "POST", .url = Url(*server, "/write"), .body = "one sample"};
  EXPECT_EQ(client.Do(write)->status, 200);
  EXPECT_EQ(client.Do(write)->status, 200);
  EXPECT_EQ(given, 1);
  holds_from = 2;  // Long before the hour is over.
  const auto again = client.Do(write);
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_EQ(again->status, 200);
  EXPECT_EQ(again->body, "one sample");
  EXPECT_EQ(given, 2);
  // Where no token will do, that is said, after one more.
  holds_from = 100;
  EXPECT_EQ(client.Do(write)->status, 401);
  EXPECT_EQ(given, 3);
}

TEST(MultiClient, RunsManyRequestsOnOneThread) {
  auto server = Start(EchoRouter());
  auto options = std::make_shared<const ClientOptions>();
  constexpr int kRequests = 100;
  std::atomic<int> good{0}, done{0};
  Event all;
  MultiClient multi("multi");
  for (int i = 0; i < kRequests; ++i) {
    multi.Submit(options, {.url = Url(*server, "/hello")}, [&](Result<ClientResponse> answer) {
      if (answer.ok() && answer->body == "hi") ++good;
      if (++done == kRequests) all.Set();
    });
  }
  all.Wait();
  EXPECT_EQ(good, kRequests);
}

TEST(MultiClient, EveryRequestEndsOnce) {
  Event begun, stop;
  Router router;
  router.Handle("GET", "/wait", [&](const Request&, Response&) {
    begun.Set();
    stop.Wait();
  });
  auto server = Start(std::move(router));
  auto options = std::make_shared<const ClientOptions>();
  std::atomic<int> cancelled{0};
  Event first_gone;
  const auto count = [&](Result<ClientResponse> answer) {
    if (answer.status().code() == StatusCode::kCancelled) ++cancelled;
    first_gone.Set();
  };
  {
    MultiClient multi("multi");
    const uint64_t id = multi.Submit(options, {.url = Url(*server, "/wait")}, count);
    begun.Wait();
    multi.Submit(options, {.url = Url(*server, "/wait")}, count);
    multi.Cancel(id);
    first_gone.Wait();
  }
  EXPECT_EQ(cancelled, 2);
  stop.Set();
}

}  // namespace
}  // namespace vedette::http
