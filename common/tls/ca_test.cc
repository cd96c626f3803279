#include "common/tls/ca.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "common/tls/trust.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace vedette::tls {
namespace {

constexpr int64_t kDayMs = 86'400'000;

std::string Slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

unsigned Mode(const std::string& path) {
  struct stat s;
  return ::stat(path.c_str(), &s) == 0 ? s.st_mode & 0777 : 0;
}

class CaTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const Status made = CertificateAuthority::Init(dir(), {.name = "Test CA", .days = 30}, clock_);
    ASSERT_TRUE(made.ok()) << made.ToString();
  }
  std::string dir() const { return temp_.path() + "/ca"; }
  std::string out() const { return temp_.path() + "/out"; }
  CertificateAuthority Open() {
    Result<CertificateAuthority> ca = CertificateAuthority::Open(dir(), clock_);
    EXPECT_TRUE(ca.ok()) << ca.status().ToString();
    return *std::move(ca);
  }
  Result<Identity> Verify(const CertificateAuthority::IssuedFiles& files) {
    TrustStore trust(dir() + "/ca.crt", dir() + "/ca.crl", clock_);
    return trust.Verify(Slurp(files.cert_file), "");
  }

  testing::TempDir temp_;
  testing::FakeClock clock_;
};

TEST_F(CaTest, WhatIsIssuedReadsBackAndIsBelieved) {
  CertificateAuthority ca = Open();
  const Result<CertificateAuthority::IssuedFiles> files =
      ca.Issue({.role = Role::kAgent,
                .name = "db1",
                .sans = {"db1.example.com", "ip:10.0.0.7", "::1"},
                .lifetime_ms = 7 * kDayMs},
               out());
  ASSERT_TRUE(files.ok()) << files.status().ToString();
  const Result<Identity> identity = Verify(*files);
  ASSERT_TRUE(identity.ok()) << identity.status().ToString();
  EXPECT_EQ(identity->name, "db1");
  EXPECT_EQ(identity->role, Role::kAgent);
  EXPECT_EQ(identity->issuer, "CN=Test CA");
  EXPECT_EQ(identity->not_after_ms, clock_.NowMs() + 7 * kDayMs);
  EXPECT_EQ(identity->serial.size(), 32u);
  EXPECT_EQ(identity->dns_names, (std::vector<std::string>{"db1", "db1.example.com"}));
  EXPECT_EQ(identity->ip_addresses, (std::vector<std::string>{"10.0.0.7", "::1"}));

  const Result<std::vector<CertificateAuthority::Record>> list = ca.List();
  ASSERT_TRUE(list.ok());
  ASSERT_EQ(list->size(), 1u);
  EXPECT_EQ(list->front().serial, identity->serial);
  EXPECT_EQ(list->front().name, "db1");
}

TEST_F(CaTest, KeysAreForTheirOwnerAndAreNeverOverwritten) {
  CertificateAuthority ca = Open();
  const CertificateAuthority::Request request{.role = Role::kServer, .name = "server"};
  const auto first = ca.Issue(request, out());
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(Mode(first->key_file), 0600u);
  EXPECT_EQ(Mode(dir() + "/ca.key"), 0600u);
  EXPECT_EQ(Mode(first->cert_file), 0644u);
  const std::string key = Slurp(first->key_file);
  EXPECT_EQ(ca.Issue(request, out()).status().code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(Slurp(first->key_file), key);
  ASSERT_TRUE(ca.Issue(request, out(), /*replace=*/true).ok());
  EXPECT_NE(Slurp(first->key_file), key);
  EXPECT_EQ(Mode(first->key_file), 0600u);
  EXPECT_EQ(CertificateAuthority::Init(dir(), {}, clock_).code(), StatusCode::kAlreadyExists);
}

TEST_F(CaTest, ExpiredNotYetValidAndForeignCertificatesAreRefusedWithTheirReason) {
  CertificateAuthority ca = Open();
  const auto expired =
      ca.Issue({.role = Role::kViewer, .name = "old", .lifetime_ms = -kDayMs}, out());
  ASSERT_TRUE(expired.ok()) << expired.status().ToString();
  Result<Identity> got = Verify(*expired);
  EXPECT_EQ(got.status().code(), StatusCode::kUnauthenticated);
  EXPECT_NE(got.status().message().find("certificate expired at 2023-11-13T"), std::string::npos)
      << got.status().ToString();

  const auto fresh = ca.Issue({.role = Role::kViewer, .name = "new", .lifetime_ms = kDayMs}, out());
  ASSERT_TRUE(fresh.ok());
  ASSERT_TRUE(Verify(*fresh).ok());
  clock_.Advance(2 * kDayMs);
  EXPECT_NE(Verify(*fresh).status().message().find("certificate expired"), std::string::npos);
  clock_.Set(clock_.NowMs() - 3 * kDayMs);
  got = Verify(*fresh);
  EXPECT_NE(got.status().message().find("not valid before"), std::string::npos)
      << got.status().ToString();
  clock_.Advance(kDayMs);

  const std::string other_dir = temp_.path() + "/other";
  ASSERT_TRUE(CertificateAuthority::Init(other_dir, {.name = "Test CA"}, clock_).ok());
  Result<CertificateAuthority> other = CertificateAuthority::Open(other_dir, clock_);
  ASSERT_TRUE(other.ok());
  const auto foreign = other->Issue({.role = Role::kServer, .name = "mallory"}, other_dir);
  ASSERT_TRUE(foreign.ok());
  got = Verify(*foreign);
  EXPECT_NE(got.status().message().find("not from a CA in"), std::string::npos)
      << got.status().ToString();
}

TEST_F(CaTest, RevocationIsSeenWithoutRestart) {
  CertificateAuthority ca = Open();
  const auto one = ca.Issue({.role = Role::kAgent, .name = "one"}, out());
  const auto two = ca.Issue({.role = Role::kAgent, .name = "two"}, out());
  ASSERT_TRUE(one.ok() && two.ok());
  TrustStore trust(dir() + "/ca.crt", dir() + "/ca.crl", clock_);
  ASSERT_TRUE(trust.Verify(Slurp(one->cert_file), "").ok());
  clock_.Advance(1000);
  const Result<int> revoked = ca.Revoke(one->identity.serial);
  ASSERT_TRUE(revoked.ok()) << revoked.status().ToString();
  EXPECT_EQ(*revoked, 1);
  const Result<Identity> got = trust.Verify(Slurp(one->cert_file), "");
  ASSERT_FALSE(got.ok());
  EXPECT_NE(got.status().message().find("revoked"), std::string::npos);
  EXPECT_TRUE(trust.Verify(Slurp(two->cert_file), "").ok());
  EXPECT_EQ(ca.Revoke("one").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(ca.Revoke("nobody").status().code(), StatusCode::kNotFound);
}

// A believed certificate is not looked at again, and yet nothing that ends its time is missed.
TEST_F(CaTest, WhoeverAsksAgainSeesRevocationAndExpiryAtOnce) {
  CertificateAuthority ca = Open();
  const auto one = ca.Issue({.role = Role::kAgent, .name = "one"}, out());
  const auto two =
      ca.Issue({.role = Role::kAgent, .name = "two", .lifetime_ms = 90'000}, out());
  ASSERT_TRUE(one.ok() && two.ok());
  TrustStore trust(dir() + "/ca.crt", dir() + "/ca.crl", clock_);
  TrustStore::Believed of_one, of_two;
  const auto again = [&](const CertificateAuthority::IssuedFiles& files,
                         TrustStore::Believed& believed) {
    const Result<const Identity*> got =
        trust.VerifyAgain(Slurp(files.cert_file), "", believed);
    return got.ok() ? (*got)->name : std::string(got.status().message());
  };
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(again(*one, of_one), "one");
    EXPECT_EQ(again(*two, of_two), "two");
  }
  EXPECT_EQ(again(*two, of_one), "two") << "another certificate is another question";
  clock_.Advance(91'000);
  EXPECT_NE(again(*two, of_two).find("expired"), std::string::npos);
  EXPECT_EQ(again(*one, of_one), "one");
  const Result<int> revoked = ca.Revoke(one->identity.serial);
  ASSERT_TRUE(revoked.ok()) << revoked.status().ToString();
  EXPECT_NE(again(*one, of_one).find("revoked"), std::string::npos);
  EXPECT_NE(again(*one, of_one).find("revoked"), std::string::npos);
}

TEST_F(CaTest, WhoeverAsksAgainSeesTheEndOfTheCa) {
  CertificateAuthority ca = Open();
  const auto one = ca.Issue({.role = Role::kAgent, .name = "one"}, out());
  ASSERT_TRUE(one.ok());
  TrustStore trust(dir() + "/ca.crt", dir() + "/ca.crl", clock_);
  const std::string pem = Slurp(one->cert_file);
  const int64_t end_ms = ParseIdentity(Slurp(dir() + "/ca.crt"))->not_after_ms;
  // It was looked at just before; a chain of itself alone is none.
  TrustStore::Believed believed, of_chain;
  clock_.Advance(one->identity.not_after_ms - clock_.NowMs() - 1'000);
  ASSERT_TRUE(trust.VerifyAgain(pem, "", believed).ok());
  ASSERT_TRUE(trust.VerifyAgain(pem, pem, of_chain).ok());
  EXPECT_EQ(believed.until_ms, std::min(one->identity.not_after_ms, end_ms));
  EXPECT_EQ(of_chain.until_ms, believed.until_ms);
  clock_.Advance(-3'600'000 * 48);
  ASSERT_TRUE(trust.VerifyAgain(pem, "", believed).ok());
  EXPECT_EQ(believed.until_ms, clock_.NowMs() + 3'600'000);
  // What a peer sends beside its own certificate may end, too.
  const auto other = ca.Issue({.role = Role::kAgent, .name = "other", .lifetime_ms = 90'000}, out());
  ASSERT_TRUE(other.ok());
  ASSERT_TRUE(trust.VerifyAgain(pem, pem + Slurp(other->cert_file), of_chain).ok());
  EXPECT_EQ(of_chain.until_ms, other->identity.not_after_ms);
  ASSERT_TRUE(trust.VerifyAgain(pem, "", believed).ok());
  clock_.Advance(end_ms - clock_.NowMs() + 1'000);
  EXPECT_FALSE(trust.VerifyAgain(pem, "", believed).ok());
}

TEST_F(CaTest, ADamagedCaFileKeepsTheTrustThatWasThere) {
  CertificateAuthority ca = Open();
  const auto files = ca.Issue({.role = Role::kAgent, .name = "one"}, out());
  ASSERT_TRUE(files.ok());
  TrustStore trust(files->ca_file, files->crl_file, clock_);
  ASSERT_TRUE(trust.Verify(Slurp(files->cert_file), "").ok());
  std::ofstream(files->ca_file, std::ios::trunc) << "half a file";
  EXPECT_TRUE(trust.Verify(Slurp(files->cert_file), "").ok());
  EXPECT_NE(trust.LastReload().message().find("ca.crt"), std::string::npos);
}

TEST_F(CaTest, ASigningRequestGetsTheRoleItIsGivenNotTheOneItAsksFor) {
  CertificateAuthority ca = Open();
  const Result<KeyAndCsr> made = MakeKeyAndCsr("wants-to-be-server");
  ASSERT_TRUE(made.ok());
  const Result<std::string> pem =
      ca.SignCsr(made->csr_pem, {.role = Role::kAgent, .name = "node7"});
  ASSERT_TRUE(pem.ok()) << pem.status().ToString();
  const Result<Identity> identity = ParseIdentity(*pem);
  ASSERT_TRUE(identity.ok());
  EXPECT_EQ(identity->name, "node7");
  EXPECT_EQ(identity->role, Role::kAgent);
  std::string damaged = made->csr_pem;
  damaged[damaged.size() / 2] = damaged[damaged.size() / 2] == 'A' ? 'B' : 'A';
  EXPECT_FALSE(ca.SignCsr(damaged, {.role = Role::kAgent, .name = "node7"}).ok());
}

TEST_F(CaTest, BadRequestsAreRefusedBeforeAnythingIsWritten) {
  CertificateAuthority ca = Open();
  EXPECT_FALSE(ca.Issue({.role = Role::kAgent, .name = "../evil"}, out()).ok());
  EXPECT_FALSE(ca.Issue({.role = Role::kAgent, .name = "ca"}, dir(), true).ok());
  EXPECT_FALSE(ca.Issue({.role = Role::kNone, .name = "x"}, out()).ok());
  EXPECT_FALSE(ca.Issue({.role = Role::kAgent, .name = "x", .sans = {"a,DNS:b"}}, out()).ok());
  EXPECT_FALSE(ca.Issue({.role = Role::kAgent, .name = "x", .sans = {"ip:ten"}}, out()).ok());
  const auto list = ca.List();
  ASSERT_TRUE(list.ok());
  EXPECT_TRUE(list->empty());
}

TEST_F(CaTest, CheckFilesSaysWhichFileIsWrong) {
  CertificateAuthority ca = Open();
  const auto one = ca.Issue({.role = Role::kAgent, .name = "one"}, out());
  const auto two = ca.Issue({.role = Role::kAgent, .name = "two"}, out());
  const auto old = ca.Issue({.role = Role::kAgent, .name = "old", .lifetime_ms = -1000}, out());
  ASSERT_TRUE(one.ok() && two.ok() && old.ok());
  const CertificateFiles good{one->ca_file, one->crl_file, one->cert_file, one->key_file};
  const Result<Identity> own = CheckFiles(good, clock_);
  ASSERT_TRUE(own.ok()) << own.status().ToString();
  EXPECT_EQ(own->name, "one");

  const auto refused = [&](CertificateFiles files) {
    const Result<Identity> got = CheckFiles(files, clock_);
    return std::string(got.ok() ? "accepted" : got.status().message());
  };
  EXPECT_NE(refused({"", "", one->cert_file, one->key_file}).find("no CA certificate file"),
            std::string::npos);
  EXPECT_NE(refused({one->ca_file, "", one->cert_file, two->key_file}).find("is not the key of"),
            std::string::npos);
  EXPECT_NE(refused({one->ca_file, "", one->key_file, one->key_file}).find("one.key"),
            std::string::npos);
  EXPECT_NE(refused({one->ca_file, "", old->cert_file, old->key_file}).find("expired"),
            std::string::npos);
  ::chmod(one->key_file.c_str(), 0644);
  EXPECT_NE(refused(good).find("chmod 0600"), std::string::npos);
}

TEST_F(CaTest, IsReplacedWithoutAMomentOfDisbelief) {
  using Step = CertificateAuthority::RotateStep;
  const auto rotate = [&](Step step, bool force = false) {
    return CertificateAuthority::Rotate(dir(), step, {.name = "Test CA", .days = 60}, force,
                                        clock_);
  };
  const auto issue = [&](const std::string& name, bool replace = false) {
    auto files = Open().Issue({.role = Role::kAgent, .name = name, .lifetime_ms = 20 * kDayMs},
                              out(), replace);
    EXPECT_TRUE(files.ok()) << files.status().ToString();
    return *std::move(files);
  };
  // What a node has that was last told about CAs at some moment.
  const auto node = [&](const std::string& name) {
    std::ofstream(temp_.path() + "/" + name + ".crt") << Slurp(dir() + "/ca.crt");
    std::ofstream(temp_.path() + "/" + name + ".crl") << Slurp(dir() + "/ca.crl");
    return std::make_unique<TrustStore>(temp_.path() + "/" + name + ".crt",
                                        temp_.path() + "/" + name + ".crl", clock_);
  };
  const auto believed = [](TrustStore& by, const CertificateAuthority::IssuedFiles& files) {
    return by.Verify(Slurp(files.cert_file), "").ok();
  };

  const auto first = issue("first");
  EXPECT_EQ(rotate(Step::kSwitch).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(rotate(Step::kFinish).code(), StatusCode::kFailedPrecondition);
  const auto before = node("before");
  ASSERT_TRUE(rotate(Step::kPrepare).ok());
  ASSERT_TRUE(rotate(Step::kPrepare).ok());  // Once more changes nothing.
  const auto prepared = node("prepared");
  // The old one signs still, so that a node that has not heard of the new one is not cut off.
  const auto second = issue("second");
  EXPECT_TRUE(believed(*before, second));
  EXPECT_TRUE(believed(*prepared, second));

  ASSERT_TRUE(rotate(Step::kSwitch).ok());
  EXPECT_EQ(rotate(Step::kPrepare).code(), StatusCode::kFailedPrecondition);
  const auto third = issue("third");
  EXPECT_FALSE(believed(*before, third));
  EXPECT_TRUE(believed(*prepared, third));
  EXPECT_TRUE(believed(*prepared, first));

  // Revocation goes on in both.
  ASSERT_TRUE(Open().Revoke("second").ok());
  ASSERT_TRUE(Open().Revoke("third").ok());
  const auto switched = node("switched");
  EXPECT_TRUE(believed(*switched, first));
  EXPECT_FALSE(believed(*switched, second));
  EXPECT_FALSE(believed(*switched, third));

  const Status early = rotate(Step::kFinish);
  EXPECT_EQ(early.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(early.ToString().find("1 certificates of the old CA"), std::string::npos)
      << early.ToString();
  const auto renewed = issue("first", true);
  ASSERT_TRUE(rotate(Step::kFinish).ok());
  EXPECT_EQ(Slurp(dir() + "/ca-old.key"), "");
  EXPECT_EQ(Mode(dir() + "/ca.key"), 0600u);
  const auto after = node("after");
  EXPECT_TRUE(believed(*after, renewed));
  EXPECT_TRUE(believed(*prepared, renewed));
}

TEST_F(CaTest, TheEndOfACertificateFollowsItsFile) {
  CertificateAuthority ca = Open();
  const auto request = [](int days) {
    return CertificateAuthority::Request{
        .role = Role::kAgent, .name = "db1", .lifetime_ms = days * kDayMs};
  };
  ASSERT_TRUE(ca.Issue(request(5), out()).ok());
  CertificateEnd end(out() + "/db1.crt");
  EXPECT_EQ(end.NotAfterMs(), clock_.NowMs() + 5 * kDayMs);
  ASSERT_TRUE(ca.Issue(request(9), out(), true).ok());
  EXPECT_EQ(end.NotAfterMs(), clock_.NowMs() + 9 * kDayMs);
  std::ofstream(out() + "/db1.crt") << "half a fi";
  EXPECT_EQ(end.NotAfterMs(), clock_.NowMs() + 9 * kDayMs);
  EXPECT_EQ(CertificateEnd("/nowhere").NotAfterMs(), 0);
}

}  // namespace
}  // namespace vedette::tls
