#include "server/api/enrol/enrol_service.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/log/request_scope.h"
#include "common/rpc/channel.h"
#include "common/rpc/enrol.h"
#include "common/rpc/server.h"
#include "common/tls/ca.h"
#include "common/tls/token_store.h"
#include "proto/vedette/v1/enrol.grpc.pb.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

// The real door on loopback, with the real client.
namespace vedette::enrol {
namespace {

constexpr int64_t kDayMs = 86'400'000;

std::string Slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

class EnrolDoorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    MakeCa("ca", "hub");
    door_ = Open("ca", "hub");
  }
  std::string Dir(const std::string& name) const { return temp_.path() + "/" + name; }
  void MakeCa(const std::string& name, const std::string& server) {
    ASSERT_TRUE(tls::CertificateAuthority::Init(Dir(name), {}, clock_).ok());
    ASSERT_TRUE(tls::CertificateAuthority::Open(Dir(name), clock_)
                    ->Issue({.role = tls::Role::kServer, .name = server}, Dir(name))
                    .ok());
  }
  EnrolDoorOptions Options(const std::string& ca, const std::string& server) {
    return {.listen_addresses = {"127.0.0.1:0"},
            .ca_dir = Dir(ca),
            .files = {Dir(ca) + "/ca.crt", Dir(ca) + "/ca.crl", Dir(ca) + "/" + server + ".crt",
                      Dir(ca) + "/" + server + ".key"},
            .events =
                [this](const rpc::Event& event) {
                  MutexLock lock(mu_);
                  log_.push_back(std::string(rpc::EventName(event.kind)) + " " + event.message);
                  request_ids_.emplace_back(log::RequestScope::Current());
                },
            .clock = &clock_};
  }
  std::unique_ptr<EnrolDoor> Open(const std::string& ca, const std::string& server) {
    Result<std::unique_ptr<EnrolDoor>> door = StartEnrolDoor(Options(ca, server));
    EXPECT_TRUE(door.ok()) << door.status().ToString();
    return *std::move(door);
  }
  static std::string At(const EnrolDoor& door) {
    return "127.0.0.1:" + std::to_string(door.ports().front());
  }
  std::string Create(const std::string& name, const std::string& ca = "ca") {
    return *tls::TokenStore(Dir(ca), clock_)
                .Create({.role = tls::Role::kAgent,
                         .name = name,
                         .certificate_lifetime_ms = 30 * kDayMs});
  }
  rpc::JoinOptions As(const std::string& name, const std::string& secret) {
    rpc::JoinOptions out;
    out.server = At(*door_);
    out.token.secret = secret;
    out.name = name;
    out.sans = {"127.0.0.1"};
    out.dir = Dir("node-" + name);
    out.deadline_ms = 0;
    out.clock = &clock_;
    return out;
  }
  bool Logged(const std::string& part) {
    MutexLock lock(mu_);
    return std::ranges::any_of(log_,
                               [&](const auto& l) { return l.find(part) != std::string::npos; });
  }
  // Who shows no certificate and looks at none.
  std::unique_ptr<v1::EnrolService::Stub> WithoutACertificate() const {
    grpc::experimental::TlsChannelCredentialsOptions tls;
    tls.set_verify_server_certs(false);
    tls.set_check_call_host(false);
    tls.set_certificate_verifier(std::make_shared<grpc::experimental::NoOpCertificateVerifier>());
    return v1::EnrolService::NewStub(
        grpc::CreateChannel(At(*door_), grpc::experimental::TlsCredentials(tls)));
  }
  static void ExpectRefused(const Status& status, const std::string& why) {
    EXPECT_FALSE(status.ok()) << "expected: " << why;
    EXPECT_NE(status.message().find(why), std::string::npos) << status.ToString();
  }

  testing::TempDir temp_;
  testing::FakeClock clock_;
  Mutex mu_;
  std::vector<std::string> log_ VEDETTE_GUARDED_BY(mu_);
  std::vector<std::string> request_ids_ VEDETTE_GUARDED_BY(mu_);  // Of the same lines.
  std::unique_ptr<EnrolDoor> door_;                               // Last: its end is an event.
};

TEST_F(EnrolDoorTest, ANodeJoinsOnceAndTheSecondTimeThereIsNothingToDo) {
  const std::string secret = Create("db1");
  rpc::JoinOptions options = As("db1", secret);
  const Result<rpc::Enrolled> joined = rpc::Join(options);
  ASSERT_TRUE(joined.ok()) << joined.status().ToString();
  EXPECT_TRUE(joined->changed);
  EXPECT_EQ(joined->identity.role, tls::Role::kAgent);
  EXPECT_TRUE(joined->identity.SpeaksFor("127.0.0.1"));
  struct stat s;
  ASSERT_EQ(::stat(joined->files.key_file.c_str(), &s), 0);
  EXPECT_EQ(s.st_mode & 0777, 0600u);
  EXPECT_TRUE(Logged("enrolled agent \"db1\""));

  options.token.secret.clear();
  const Result<rpc::Enrolled> again = rpc::Join(options);
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_FALSE(again->changed);
  // Another machine with the used token.
  options = As("db1", secret);
  options.dir = Dir("elsewhere");
  ExpectRefused(rpc::Join(options).status(), "was used already, by db1");
  EXPECT_TRUE(Logged("enrol_refused"));
}

TEST_F(EnrolDoorTest, EveryRefusalHasItsReason) {
  ExpectRefused(rpc::Join(As("db1", std::string(40, 'x'))).status(), "join token unknown");
  const std::string secret = Create("db1");
  ExpectRefused(rpc::Join(As("db2", secret)).status(), "is for \"db1\", not for \"db2\"");
  rpc::JoinOptions options = As("db1", secret);
  options.sans = {"10.1.2.3"};
  ExpectRefused(rpc::Join(options).status(), "SAN \"10.1.2.3\"");
  options = As("db1", secret);
  options.token.ca_fingerprint = std::string(64, '0');
  ExpectRefused(rpc::Join(options).status(), "the join token wants 0000");
  const std::string late = Create("db3");
  clock_.Advance(2 * 3'600'000);
  ExpectRefused(rpc::Join(As("db3", late)).status(), "expired at");
}

TEST_F(EnrolDoorTest, TheServerOfAnotherCaLearnsNothingAndGivesNothing) {
  MakeCa("evil", "hub");
  const std::unique_ptr<EnrolDoor> evil = Open("evil", "hub");
  const std::string secret = Create("db1");
  rpc::JoinOptions options = As("db1", secret);
  options.server = At(*evil);
  ExpectRefused(rpc::Join(options).status(), "join token unknown");
  // The token was not spent by that.
  EXPECT_TRUE(rpc::Join(As("db1", secret)).ok());
}

// Passes requests on to the true door and changes what comes back.
class InBetween final : public v1::EnrolService::Service {
 public:
  InBetween(std::string to, std::string own_ca) : to_(std::move(to)), own_ca_(std::move(own_ca)) {}
  grpc::Status Enrol(grpc::ServerContext*, const v1::EnrolRequest* request,
                     v1::EnrolResponse* response) override {
    grpc::experimental::TlsChannelCredentialsOptions tls;
    tls.set_verify_server_certs(false);
    tls.set_check_call_host(false);
    tls.set_certificate_verifier(std::make_shared<grpc::experimental::NoOpCertificateVerifier>());
    const auto stub = v1::EnrolService::NewStub(
        grpc::CreateChannel(to_, grpc::experimental::TlsCredentials(tls)));
    grpc::ClientContext context;
    const grpc::Status status = stub->Enrol(&context, *request, response);
    passed_on = status.ok();
    response->set_ca_pem(own_ca_);
    return status;
  }
  bool passed_on = false;

 private:
  const std::string to_;
  const std::string own_ca_;
};

TEST_F(EnrolDoorTest, WhoSitsInBetweenCannotPutInTheirCa) {
  MakeCa("evil", "hub");
  InBetween service(At(*door_), Slurp(Dir("evil") + "/ca.crt"));
  rpc::ServerOptions server_options;
  server_options.listen_addresses = {"127.0.0.1:0"};
  server_options.files = Options("evil", "hub").files;
  server_options.clock = &clock_;
  server_options.anonymous_methods = {"/vedette.v1.EnrolService/Enrol"};
  Result<std::unique_ptr<rpc::Server>> server = rpc::Server::Start(server_options, {&service});
  ASSERT_TRUE(server.ok()) << server.status().ToString();
  rpc::JoinOptions options = As("db1", Create("db1"));
  options.server = "127.0.0.1:" + std::to_string((*server)->ports().front());
  ExpectRefused(rpc::Join(options).status(), "does not know the join token");
  EXPECT_TRUE(service.passed_on);
  EXPECT_FALSE(std::ifstream(options.dir + "/ca.crt").good());
}

TEST_F(EnrolDoorTest, RenewalIsDueAtTwoThirdsAndWantsACertificate) {
  const Result<rpc::Enrolled> joined = rpc::Join(As("db1", Create("db1")));
  ASSERT_TRUE(joined.ok()) << joined.status().ToString();
  const rpc::RenewOptions options{.dir = Dir("node-db1"), .clock = &clock_};
  Result<rpc::Enrolled> renewed = rpc::Renew(options);
  ASSERT_TRUE(renewed.ok()) << renewed.status().ToString();
  EXPECT_FALSE(renewed->changed);

  clock_.Advance(21 * kDayMs);
  const std::string old_key = Slurp(joined->files.key_file);
  renewed = rpc::Renew(options);
  ASSERT_TRUE(renewed.ok()) << renewed.status().ToString();
  EXPECT_TRUE(renewed->changed);
  EXPECT_NE(Slurp(joined->files.key_file), old_key);
  EXPECT_EQ(renewed->identity.not_after_ms - joined->identity.not_after_ms, 21 * kDayMs);

  ASSERT_TRUE(tls::CertificateAuthority::Open(Dir("ca"), clock_)->Revoke("db1").ok());
  clock_.Advance(25 * kDayMs);
  EXPECT_FALSE(rpc::Renew(options).ok());
  EXPECT_TRUE(Logged("client refused: certificate is revoked"));
}

TEST_F(EnrolDoorTest, WithoutACertificateOnlyEnrolMayBeCalled) {
  const auto stub = WithoutACertificate();
  {
    grpc::ClientContext context;
    v1::RenewResponse response;
    const grpc::Status status = stub->Renew(&context, {}, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED) << status.error_message();
  }
  // And not as often as one likes: ten at once, the Renew above not counted.
  int refused = 0;
  for (int i = 0; i < 12; ++i) {
    grpc::ClientContext context;
    v1::EnrolResponse response;
    refused +=
        stub->Enrol(&context, {}, &response).error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED
            ? 1
            : 0;
  }
  EXPECT_EQ(refused, 2);
}

TEST_F(EnrolDoorTest, ACallHasAnIdInTheLogAndInItsAnswer) {
  const auto stub = WithoutACertificate();
  const auto refused = [&](const std::string& own_id) {
    grpc::ClientContext context;
    rpc::SetTimeout(context, 10'000);
    if (!own_id.empty()) context.AddMetadata("x-request-id", own_id);
    v1::EnrolRequest request;
    v1::EnrolResponse response;
    request.set_name("db1");
    EXPECT_FALSE(stub->Enrol(&context, request, &response).ok());
    const auto& sent = context.GetServerInitialMetadata();
    const auto found = sent.find("x-request-id");
    return found == sent.end() ? "" : std::string(found->second.data(), found->second.size());
  };
  const std::string own = refused("join-7");
  const std::string made = refused("");
  const std::string better = refused("two words");
  EXPECT_EQ(own, "join-7");
  EXPECT_EQ(made.size(), 16u);
  EXPECT_EQ(better.size(), 16u);
  EXPECT_NE(made, better);
  MutexLock lock(mu_);
  for (const std::string& id : {own, made, better}) {
    EXPECT_EQ(std::ranges::count(request_ids_, id), 1) << id;
  }
}

TEST_F(EnrolDoorTest, JoinWaitsForAServerThatIsNotThereYet) {
  const std::string secret = Create("db1");
  rpc::JoinOptions options = As("db1", secret);
  door_->Shutdown(0);
  options.deadline_ms = 60'000;
  int waits = 0;
  options.wait = [&](int64_t ms) {
    clock_.Advance(ms);
    if (++waits == 2) {
      EnrolDoorOptions again = Options("ca", "hub");
      again.listen_addresses = {options.server};
      Result<std::unique_ptr<EnrolDoor>> door = StartEnrolDoor(again);
      ASSERT_TRUE(door.ok()) << door.status().ToString();
      door_ = *std::move(door);
    }
  };
  const Result<rpc::Enrolled> joined = rpc::Join(options);
  EXPECT_TRUE(joined.ok()) << joined.status().ToString();
  EXPECT_EQ(waits, 2);
}

TEST_F(EnrolDoorTest, AServerCertificateOfAnotherCaDoesNotOpenTheDoor) {
  MakeCa("evil", "hub");
  EnrolDoorOptions options = Options("ca", "hub");
  options.files = Options("evil", "hub").files;
  ExpectRefused(StartEnrolDoor(options).status(), "should be from the CA in");
  options.ca_dir = Dir("none");
  ExpectRefused(StartEnrolDoor(options).status(), "vedettectl ca init");
}

}  // namespace
}  // namespace vedette::enrol
