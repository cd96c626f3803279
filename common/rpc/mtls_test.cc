#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/rpc/channel.h"
#include "common/rpc/grpc_status.h"
#include "common/rpc/health.h"
#include "common/rpc/server.h"
#include "common/tls/ca.h"
#include "proto/interop/health.grpc.pb.h"
#include "proto/vedette/v1/agent.grpc.pb.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

// Real gRPC over real sockets: who is let in, who is not, and whether we hear why.
namespace vedette::rpc {
namespace {

using tls::Role;
using IssuedFiles = tls::CertificateAuthority::IssuedFiles;

class Events {
 public:
  EventSink Sink() {
    return [this](const Event& event) {
      MutexLock lock(mu_);
      events_.push_back(event);
      changed_.NotifyAll();
    };
  }

  // Waits a bounded time for an event of that kind whose message contains `text`.
  bool Saw(EventKind kind, const std::string& text) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    MutexLock lock(mu_);
    for (;;) {
      for (const Event& event : events_) {
        if (event.kind == kind && event.message.find(text) != std::string::npos) return true;
      }
      if (std::chrono::steady_clock::now() > end) return false;
      changed_.WaitFor(mu_, 100);
    }
  }

  std::string All() {
    MutexLock lock(mu_);
    std::string out;
    for (const Event& event : events_) {
      out += std::string(EventName(event.kind)) + ": " + event.message + "\n";
    }
    return out;
  }

 private:
  Mutex mu_;
  CondVar changed_;
  std::vector<Event> events_ VEDETTE_GUARDED_BY(mu_);
};

class AgentStub final : public v1::AgentService::Service {
 public:
  grpc::Status Describe(grpc::ServerContext* context, const v1::DescribeRequest*,
                        v1::DescribeResponse* response) override {
    const Result<tls::Identity> peer = PeerIdentity(*context);
    response->set_node(peer.ok() ? std::string(tls::RoleName(peer->role)) + "/" + peer->name
                                 : "nobody");
    return grpc::Status::OK;
  }
  grpc::Status Collect(grpc::ServerContext*, const v1::CollectRequest*,
                       v1::CollectResponse*) override {
    return ToGrpcStatus(NotFound("no such collector"));
  }
  // Answers each request, as long as the caller is known and `look_again` has nothing against it.
  grpc::Status Pull(grpc::ServerContext* context,
                    grpc::ServerReaderWriter<v1::PullResponse, v1::PullRequest>* stream) override {
    v1::PullRequest request;
    while (stream->Read(&request)) {
      if (look_again != nullptr) {
        if (const Status peer = look_again(*context); !peer.ok()) return ToGrpcStatus(peer);
      }
      if (!PeerIdentity(*context).ok() || !stream->Write(v1::PullResponse())) break;
    }
    return grpc::Status::OK;
  }

  std::function<Status(const grpc::ServerContext&)> look_again;
};

class MtlsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(tls::CertificateAuthority::Init(dir(), {.name = "Good CA"}, SystemClock()).ok());
    ASSERT_TRUE(tls::CertificateAuthority::Init(other(), {.name = "Other CA"}, SystemClock()).ok());
    agent_ = Issue(dir(), {.role = Role::kAgent, .name = "node1", .sans = {"127.0.0.1"}});
    Start(false);
  }

  void TearDown() override {
    if (server_ != nullptr) server_->Shutdown(0);
    SetTransportLog(nullptr);
  }

  void Start(bool insecure) {
    SetTransportLog(events_.Sink());
    ServerOptions options;
    options.listen_addresses = {"127.0.0.1:0"};
    options.files = Files(agent_, agent_);
    options.insecure = insecure;
    options.rules = {{"/vedette.v1.AgentService/", {Role::kServer, Role::kOperator}},
                     {"/vedette.v1.AgentService/Collect", {Role::kServer}}};
    options.events = events_.Sink();
    options.clock = &clock_;
    Result<std::unique_ptr<Server>> server = Server::Start(options, {&service_});
    ASSERT_TRUE(server.ok()) << server.status().ToString();
    server_ = *std::move(server);
  }

  std::string dir() const { return temp_.path() + "/ca"; }
  std::string other() const { return temp_.path() + "/other"; }
  std::string address() const { return "127.0.0.1:" + std::to_string(server_->ports().front()); }

  IssuedFiles Issue(const std::string& ca_dir, const tls::CertificateAuthority::Request& request,
                    bool replace = false) {
    Result<tls::CertificateAuthority> ca = tls::CertificateAuthority::Open(ca_dir, SystemClock());
    EXPECT_TRUE(ca.ok()) << ca.status().ToString();
    Result<IssuedFiles> files = ca->Issue(request, ca_dir, replace);
    EXPECT_TRUE(files.ok()) << files.status().ToString();
    return *std::move(files);
  }

  static tls::CertificateFiles Files(const IssuedFiles& own, const IssuedFiles& trusted) {
    return {trusted.ca_file, trusted.crl_file, own.cert_file, own.key_file};
  }

  std::shared_ptr<grpc::Channel> Channel(ChannelOptions options) {
    options.address = address();
    options.events = client_events_.Sink();
    Result<std::shared_ptr<grpc::Channel>> channel = MakeChannel(std::move(options));
    EXPECT_TRUE(channel.ok()) << channel.status().ToString();
    return *std::move(channel);
  }

  Status Describe(const std::shared_ptr<grpc::Channel>& channel, std::string* node = nullptr) {
    grpc::ClientContext context;
    SetTimeout(context, 10'000);
    v1::DescribeResponse response;
    const grpc::Status status =
        v1::AgentService::NewStub(channel)->Describe(&context, {}, &response);
    if (node != nullptr) *node = response.node();
    return FromGrpcStatus(status);
  }

  testing::TempDir temp_;
  // In step with the certificates, which the system clock dates; tests move it on.
  testing::FakeClock clock_{SystemClock().NowMs()};
  Events events_, client_events_;
  AgentStub service_;
  IssuedFiles agent_;
  std::unique_ptr<Server> server_;
};

TEST_F(MtlsTest, TheRightCertificateIsLetInAndKnownByName) {
  const IssuedFiles server = Issue(dir(), {.role = Role::kServer, .name = "hub"});
  auto channel = Channel(
      {.files = Files(server, server), .expected_name = "node1", .expected_role = Role::kAgent});
  std::string node;
  const Status status = Describe(channel, &node);
  ASSERT_TRUE(status.ok()) << status.ToString() << events_.All() << client_events_.All();
  EXPECT_EQ(node, "server/hub");

  grpc::ClientContext context;
  SetTimeout(context, 10'000);
  v1::CollectResponse response;
  const Status collected =
      FromGrpcStatus(v1::AgentService::NewStub(channel)->Collect(&context, {}, &response));
  EXPECT_EQ(collected.ToString(), NotFound("no such collector").ToString());
}

TEST_F(MtlsTest, NoCertificateIsRefused) {
  auto channel = grpc::CreateChannel(address(), [&] {
    grpc::experimental::TlsChannelCredentialsOptions tls;
    tls.set_certificate_provider(
        std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(agent_.ca_file, 1));
    tls.watch_root_certs();
    return grpc::experimental::TlsCredentials(tls);
  }());
  EXPECT_FALSE(Describe(channel).ok());
  EXPECT_TRUE(events_.Saw(EventKind::kHandshakeRefused, "no certificate was presented"))
      << events_.All();
}

TEST_F(MtlsTest, AnotherCasCertificateIsRefused) {
  const IssuedFiles mallory = Issue(other(), {.role = Role::kServer, .name = "mallory"});
  // Its own files are in order for it; whom it believes is set apart, or it would refuse itself.
  tls::CertificateFiles files = Files(mallory, mallory);
  const std::string both = temp_.path() + "/both.crt";
  ASSERT_EQ(std::system(("cat " + dir() + "/ca.crt " + other() + "/ca.crt > " + both).c_str()), 0);
  files.ca_file = both;
  EXPECT_FALSE(Describe(Channel({.files = files})).ok());
  EXPECT_TRUE(events_.Saw(EventKind::kHandshakeRefused, "not from a CA in")) << events_.All();
  EXPECT_TRUE(events_.Saw(EventKind::kHandshakeRefused, "\"mallory\"")) << events_.All();
}

TEST_F(MtlsTest, AnExpiredCertificateIsRefusedAtTheHandshakeAndOnAStandingConnection) {
  const int64_t minute_ms = 60'000;
  const IssuedFiles brief =
      Issue(dir(), {.role = Role::kServer, .name = "brief", .lifetime_ms = minute_ms});
  auto standing = Channel({.files = Files(brief, brief)});
  const Status before = Describe(standing);
  ASSERT_TRUE(before.ok()) << before.ToString();
  clock_.Advance(2 * minute_ms);
  const Status after = Describe(standing);
  EXPECT_EQ(after.code(), StatusCode::kUnauthenticated) << after.ToString();
  EXPECT_TRUE(events_.Saw(EventKind::kCallRefused, "certificate expired at")) << events_.All();
  EXPECT_FALSE(Describe(Channel({.files = Files(brief, brief)})).ok());
  EXPECT_TRUE(events_.Saw(EventKind::kHandshakeRefused, "certificate expired at")) << events_.All();
}

TEST_F(MtlsTest, ARevokedCertificateIsRefusedAtTheHandshakeAndOnAStandingConnection) {
  const IssuedFiles hub = Issue(dir(), {.role = Role::kServer, .name = "hub"});
  tls::CertificateFiles files = Files(hub, hub);
  files.crl_file.clear();  // It has not heard of it.
  auto standing = Channel({.files = files});
  ASSERT_TRUE(Describe(standing).ok()) << events_.All();
  Result<tls::CertificateAuthority> ca = tls::CertificateAuthority::Open(dir(), SystemClock());
  ASSERT_TRUE(ca->Revoke("hub").ok());
  EXPECT_EQ(Describe(standing).code(), StatusCode::kUnauthenticated);
  EXPECT_TRUE(events_.Saw(EventKind::kCallRefused, "revoked")) << events_.All();
  EXPECT_FALSE(Describe(Channel({.files = files})).ok());
  EXPECT_TRUE(events_.Saw(EventKind::kHandshakeRefused, "revoked")) << events_.All();
}

TEST_F(MtlsTest, WhoIsRevokedOrExpiresDuringACallIsSeenAtTheNextMessage) {
  service_.look_again = [this](const grpc::ServerContext& c) { return server_->CheckPeer(c); };
  for (const bool revoked : {true, false}) {
    SCOPED_TRACE(revoked);
    const std::string name = revoked ? "hub" : "brief";
    const IssuedFiles hub =
        Issue(dir(), {.role = Role::kServer, .name = name, .lifetime_ms = 30'000});
    tls::CertificateFiles files = Files(hub, hub);
    files.crl_file.clear();  // It has not heard of it.
    grpc::ClientContext context;
    SetTimeout(context, 60'000);
    auto stream = v1::AgentService::NewStub(Channel({.files = files}))->Pull(&context);
    v1::PullResponse response;
    const auto ask = [&] { return stream->Write(v1::PullRequest()) && stream->Read(&response); };
    // The second and third look are those that check no signature.
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(ask()) << events_.All();
    if (revoked) {
      Result<tls::CertificateAuthority> ca = tls::CertificateAuthority::Open(dir(), SystemClock());
      ASSERT_TRUE(ca->Revoke(name).ok());
    } else {
      clock_.Advance(40'000);
    }
    EXPECT_FALSE(ask());
    const grpc::Status status = stream->Finish();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED) << status.error_message();
    EXPECT_NE(status.error_message().find(revoked ? "revoked" : "expired"), std::string::npos)
        << status.error_message();
  }
}

TEST_F(MtlsTest, HealthIsToldOnceAndWhenItChanges) {
  namespace health = grpc::health::v1;
  const IssuedFiles hub = Issue(dir(), {.role = Role::kServer, .name = "hub"});
  const auto stub = health::Health::NewStub(Channel({.files = Files(hub, hub)}));
  health::HealthCheckRequest all, one;
  one.set_service("vedette.v1.AgentService");
  health::HealthCheckResponse response;
  const auto check = [&](const health::HealthCheckRequest& request) {
    grpc::ClientContext context;
    SetTimeout(context, 10'000);
    return stub->Check(&context, request, &response).error_code();
  };
  EXPECT_EQ(check(all), grpc::StatusCode::OK) << events_.All();
  EXPECT_EQ(response.status(), health::HealthCheckResponse::SERVING);
  EXPECT_EQ(check(one), grpc::StatusCode::NOT_FOUND);

  grpc::ClientContext unknown_context;
  SetTimeout(unknown_context, 60'000);
  auto unknown = stub->Watch(&unknown_context, one);
  ASSERT_TRUE(unknown->Read(&response));
  EXPECT_EQ(response.status(), health::HealthCheckResponse::SERVICE_UNKNOWN);
  // Those that went away leave their places.
  unknown_context.TryCancel();
  EXPECT_FALSE(unknown->Read(&response));
  (void)unknown->Finish();

  grpc::ClientContext context;
  SetTimeout(context, 60'000);
  auto watch = stub->Watch(&context, all);
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), health::HealthCheckResponse::SERVING);
  std::thread stop([&] { server_->Shutdown(10'000); });
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), health::HealthCheckResponse::NOT_SERVING);
  EXPECT_FALSE(watch->Read(&response));
  EXPECT_TRUE(watch->Finish().ok());
  stop.join();
}

TEST_F(MtlsTest, HealthIsWatchedBySoManyAndNoMore) {
  namespace health = grpc::health::v1;
  const IssuedFiles hub = Issue(dir(), {.role = Role::kServer, .name = "hub"});
  const auto stub = health::Health::NewStub(Channel({.files = Files(hub, hub)}));
  struct Call {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<health::HealthCheckResponse>> watch;
  };
  std::vector<std::unique_ptr<Call>> calls;
  health::HealthCheckResponse response;
  const auto begin = [&] {
    calls.push_back(std::make_unique<Call>());
    SetTimeout(calls.back()->context, 60'000);
    calls.back()->watch = stub->Watch(&calls.back()->context, {});
    return calls.back()->watch->Read(&response);
  };
  for (int i = 0; i < HealthService::kMaxWatches; ++i) ASSERT_TRUE(begin()) << i;
  EXPECT_FALSE(begin());
  EXPECT_EQ(calls.back()->watch->Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  calls.pop_back();
  for (const auto& call : calls) {
    call->context.TryCancel();
    (void)call->watch->Finish();
  }
}

TEST_F(MtlsTest, TheWrongRoleIsRefusedAndTold) {
  const IssuedFiles viewer = Issue(dir(), {.role = Role::kViewer, .name = "eve"});
  const Status status = Describe(Channel({.files = Files(viewer, viewer)}));
  EXPECT_EQ(status.code(), StatusCode::kPermissionDenied);
  EXPECT_NE(status.message().find("it is for server, operator"), std::string::npos)
      << status.ToString();
  EXPECT_TRUE(events_.Saw(EventKind::kCallRefused, "role viewer")) << events_.All();

  const IssuedFiles operator_files = Issue(dir(), {.role = Role::kOperator, .name = "olga"});
  auto channel = Channel({.files = Files(operator_files, operator_files)});
  EXPECT_TRUE(Describe(channel).ok());
  grpc::ClientContext context;
  SetTimeout(context, 10'000);
  v1::CollectResponse response;
  EXPECT_EQ(v1::AgentService::NewStub(channel)->Collect(&context, {}, &response).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(MtlsTest, APeerThatFloodsIsCutOffAndOthersAreNot) {
  const IssuedFiles olga = Issue(dir(), {.role = Role::kOperator, .name = "olga"});
  auto honest = Channel({.files = Files(olga, olga)});
  ASSERT_TRUE(Describe(honest).ok()) << events_.All();
  const IssuedFiles mallory = Issue(dir(), {.role = Role::kOperator, .name = "mallory"});
  auto flood = Channel({.files = Files(mallory, mallory)});
  // The server's clock stands, so that the first calls are all that this certificate may make.
  std::atomic<bool> stop{false};
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&] {
      while (!stop) (void)Describe(flood);
    });
  }
  bool cut = false;
  for (int tens = 0; tens < 12 && !cut; ++tens) cut = events_.Saw(EventKind::kCutOff, "cut off");
  EXPECT_TRUE(cut) << events_.All();
  EXPECT_TRUE(events_.Saw(EventKind::kCallRefused, "mallory")) << events_.All();
  EXPECT_TRUE(events_.Saw(EventKind::kHandshakeRefused, "too many calls")) << events_.All();
  stop = true;
  for (std::thread& t : callers) t.join();
  EXPECT_FALSE(Describe(flood).ok());
  EXPECT_TRUE(Describe(honest).ok());
  EXPECT_TRUE(Describe(Channel({.files = Files(olga, olga)})).ok());
  clock_.Advance(11'000);
  EXPECT_TRUE(Describe(Channel({.files = Files(mallory, mallory)})).ok()) << "it has been quiet";
}

TEST_F(MtlsTest, PlainTextIsRefused) {
  EXPECT_FALSE(Describe(Channel({.insecure = true})).ok());
  EXPECT_TRUE(events_.Saw(EventKind::kTransport, "andshake")) << events_.All();
}

TEST_F(MtlsTest, AServerThatIsSomebodyElseIsRefusedByTheClient) {
  const IssuedFiles hub = Issue(dir(), {.role = Role::kServer, .name = "hub"});
  Status status = Describe(Channel({.files = Files(hub, hub), .expected_name = "node2"}));
  EXPECT_FALSE(status.ok());
  EXPECT_NE(status.message().find("does not speak for"), std::string::npos) << status.ToString();
  EXPECT_TRUE(client_events_.Saw(EventKind::kHandshakeRefused, "does not speak for \"node2\""));
  status = Describe(Channel({.files = Files(hub, hub), .expected_role = Role::kServer}));
  EXPECT_FALSE(status.ok());
  EXPECT_TRUE(client_events_.Saw(EventKind::kHandshakeRefused, "should have the role server"));
}

TEST_F(MtlsTest, AServerOfAnotherCaIsRefusedByTheClient) {
  const IssuedFiles stranger = Issue(other(), {.role = Role::kServer, .name = "stranger"});
  EXPECT_FALSE(Describe(Channel({.files = Files(stranger, stranger)})).ok());
  EXPECT_TRUE(client_events_.Saw(EventKind::kHandshakeRefused, "not from a CA in " + other()))
      << client_events_.All();
}

TEST_F(MtlsTest, NewCertificatesOnDiskAreUsedWithoutRestart) {
  const IssuedFiles hub = Issue(dir(), {.role = Role::kServer, .name = "hub"});
  const std::string old_serial = agent_.identity.serial;
  std::string seen;
  const auto serial_of_server = [&] {
    auto channel = Channel({.files = Files(hub, hub)});
    grpc::ClientContext context;
    SetTimeout(context, 10'000);
    v1::DescribeResponse response;
    const grpc::Status status =
        v1::AgentService::NewStub(channel)->Describe(&context, {}, &response);
    if (!status.ok()) return status.error_message();
    const auto pem = context.auth_context()->FindPropertyValues("x509_pem_cert");
    if (pem.empty()) return std::string("no certificate");
    return tls::ParseIdentity(std::string(pem.front().data(), pem.front().size()))->serial;
  };
  EXPECT_EQ(serial_of_server(), old_serial);
  agent_ = Issue(dir(), {.role = Role::kAgent, .name = "node1", .sans = {"127.0.0.1"}}, true);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(15);
  while (seen != agent_.identity.serial && std::chrono::steady_clock::now() < end) {
    seen = serial_of_server();
    ASSERT_TRUE(seen == old_serial || seen == agent_.identity.serial) << seen;
  }
  EXPECT_EQ(seen, agent_.identity.serial);
}

size_t Threads() {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    count += entry.is_directory() ? 1 : 0;
  }
  return count;
}

TEST_F(MtlsTest, ChannelsWithTheSameFilesLookAtThemTogether) {
  const IssuedFiles hub = Issue(dir(), {.role = Role::kServer, .name = "hub"});
  const auto first = Channel({.files = Files(hub, hub)});
  ASSERT_TRUE(Describe(first).ok());
  const size_t before = Threads();
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (int i = 0; i < 50; ++i) {
    channels.push_back(Channel({.files = Files(hub, hub)}));
    ASSERT_TRUE(Describe(channels.back()).ok());
  }
  EXPECT_LT(Threads(), before + 25);  // gRPC's own come and go; one for each channel would be 50.
}

TEST_F(MtlsTest, CertificatesThatChangeDuringACallDoNotEndIt) {
  IssuedFiles hub = Issue(dir(), {.role = Role::kServer, .name = "hub"});
  auto channel = Channel({.files = Files(hub, hub)});
  const auto stub = v1::AgentService::NewStub(channel);
  grpc::ClientContext context;
  SetTimeout(context, 60'000);
  auto stream = stub->Pull(&context);
  v1::PullResponse response;
  const auto ask = [&] { return stream->Write(v1::PullRequest()) && stream->Read(&response); };
  ASSERT_TRUE(ask()) << events_.All();
  // Both sides, and both old ones stay good until they end.
  agent_ = Issue(dir(), {.role = Role::kAgent, .name = "node1", .sans = {"127.0.0.1"}}, true);
  hub = Issue(dir(), {.role = Role::kServer, .name = "hub"}, true);
  bool seen = false;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!seen && std::chrono::steady_clock::now() < end) {
    ASSERT_TRUE(ask()) << events_.All();
    auto fresh = Channel({.files = Files(hub, hub)});
    grpc::ClientContext other;
    SetTimeout(other, 10'000);
    v1::DescribeResponse described;
    ASSERT_TRUE(v1::AgentService::NewStub(fresh)->Describe(&other, {}, &described).ok())
        << events_.All();
    const auto pem = other.auth_context()->FindPropertyValues("x509_pem_cert");
    ASSERT_FALSE(pem.empty());
    seen = tls::ParseIdentity(std::string(pem.front().data(), pem.front().size()))->serial ==
           agent_.identity.serial;
  }
  EXPECT_TRUE(seen) << "new connections have the new certificate";
  ASSERT_TRUE(ask()) << "the old one has its call still";
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(MtlsTest, InsecureHasToBeAskedForAndIsLoud) {
  server_->Shutdown(0);
  Start(true);
  std::string node;
  ASSERT_TRUE(Describe(Channel({.insecure = true}), &node).ok());
  EXPECT_EQ(node, "nobody");
  EXPECT_TRUE(events_.Saw(EventKind::kInsecure, "INSECURE"));
}

TEST_F(MtlsTest, StartSaysWhatIsWrong) {
  ServerOptions options;
  options.listen_addresses = {address()};
  EXPECT_NE(Server::Start(options, {&service_}).status().message().find("vedettectl ca"),
            std::string::npos);
  options.files = Files(agent_, agent_);
  const Status taken = Server::Start(options, {&service_}).status();
  EXPECT_EQ(taken.code(), StatusCode::kUnavailable) << taken.ToString();
  EXPECT_NE(taken.message().find(address()), std::string::npos);
}

}  // namespace
}  // namespace vedette::rpc
