#include "common/tls/enroller.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>
#include <string>

#include "common/tls/ca.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace vedette::tls {
namespace {

constexpr int64_t kHourMs = 3'600'000;
constexpr char kPeer[] = "10.0.0.7";

class EnrollerTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(CertificateAuthority::Init(dir(), {}, clock_).ok()); }
  std::string dir() const { return temp_.path() + "/ca"; }
  std::string Create(const TokenGrant& grant) {
    Result<std::string> secret = tokens_.Create(grant);
    EXPECT_TRUE(secret.ok()) << secret.status().ToString();
    return *std::move(secret);
  }
  static JoinRequest Request(const std::string& secret, const std::string& name,
                             std::vector<std::string> sans = {}) {
    JoinRequest out{.token_id = *TokenId(secret),
                    .name = name,
                    .sans = std::move(sans),
                    .nonce = *NewNonce(),
                    .csr_pem = MakeKeyAndCsr(name)->csr_pem};
    out.proof = *RequestProof(secret, out);
    return out;
  }
  Result<JoinAnswer> Join(const JoinRequest& request) {
    return enroller_.Join(request, kPeer, "hub");
  }
  void ExpectRefused(const JoinRequest& request, StatusCode code, const std::string& why) {
    const Result<JoinAnswer> got = Join(request);
    ASSERT_FALSE(got.ok()) << "expected: " << why;
    EXPECT_EQ(got.status().code(), code) << got.status().ToString();
    EXPECT_NE(got.status().message().find(why), std::string::npos) << got.status().ToString();
  }
  std::string TokenText(const std::string& secret) const {
    std::ifstream in(dir() + "/tokens/" + *TokenId(secret));
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }

  testing::TempDir temp_;
  testing::FakeClock clock_;
  TokenStore tokens_{dir(), clock_};
  Enroller enroller_{dir(), clock_};
};

TEST_F(EnrollerTest, AGoodTokenGetsWhatItGrantsAndBothSidesHaveProved) {
  const std::string secret = Create({.role = Role::kAgent,
                                     .name = "db1",
                                     .sans = {"db1.example.com"},
                                     .certificate_lifetime_ms = kHourMs});
  const JoinRequest request = Request(secret, "db1", {"db1.example.com", "ip:10.0.0.7"});
  const Result<JoinAnswer> answer = Join(request);
  ASSERT_TRUE(answer.ok()) << answer.status().ToString();
  EXPECT_EQ(answer->proof, *AnswerProof(secret, request, *answer));
  EXPECT_EQ(answer->server_name, "hub");
  const Result<Identity> identity = ParseIdentity(answer->cert_pem);
  ASSERT_TRUE(identity.ok());
  EXPECT_EQ(identity->role, Role::kAgent);
  EXPECT_EQ(identity->name, "db1");
  EXPECT_TRUE(identity->SpeaksFor("10.0.0.7"));
  EXPECT_TRUE(identity->SpeaksFor("db1.example.com"));
  EXPECT_EQ(identity->not_after_ms, clock_.NowMs() / 1000 * 1000 + kHourMs);
}

TEST_F(EnrollerTest, ATokenWorksOnceAndItsSecretIsErased) {
  const std::string secret = Create({.role = Role::kAgent, .name = "db1"});
  EXPECT_NE(TokenText(secret).find(secret), std::string::npos);
  struct stat s;
  ASSERT_EQ(::stat((dir() + "/tokens/" + *TokenId(secret)).c_str(), &s), 0);
  EXPECT_EQ(s.st_mode & 0777, 0600u);
  const JoinRequest first = Request(secret, "db1");
  const Result<JoinAnswer> answer = Join(first);
  ASSERT_TRUE(answer.ok()) << answer.status().ToString();
  EXPECT_EQ(TokenText(secret).find(secret), std::string::npos);
  ExpectRefused(Request(secret, "db1"), StatusCode::kUnauthenticated, "was used already, by db1");
  // The very same request, whose answer was lost: the same certificate, not another one.
  const Result<JoinAnswer> again = Join(first);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->cert_pem, answer->cert_pem);
  clock_.Advance(kHourMs);
  ExpectRefused(first, StatusCode::kUnauthenticated, "was used already");
}

TEST_F(EnrollerTest, ATokenForThreeLetsThreeInAndNoTwoOfOneName) {
  const std::string secret = Create({.role = Role::kAgent, .uses = 3});
  ASSERT_TRUE(Join(Request(secret, "a")).ok());
  ExpectRefused(Request(secret, "a"), StatusCode::kPermissionDenied, "is taken by certificate");
  ExpectRefused(Request(secret, "10.0.0.9"), StatusCode::kPermissionDenied, "has a dot");
  ASSERT_TRUE(Join(Request(secret, "b")).ok());
  ASSERT_TRUE(Join(Request(secret, "c")).ok());
  ExpectRefused(Request(secret, "d"), StatusCode::kUnauthenticated, "was used already");
}

TEST_F(EnrollerTest, WhatIsWrongIsRefusedWithItsReasonAndTheTokenStaysGood) {
  const std::string secret = Create({.role = Role::kAgent, .name = "db1"});
  const std::string stranger(64, 'a');
  ExpectRefused(Request(stranger, "db1"), StatusCode::kUnauthenticated, "join token unknown");
  ExpectRefused(Request(secret, "db2"), StatusCode::kPermissionDenied, "is for \"db1\"");
  ExpectRefused(Request(secret, "db1", {"hub.example.com"}), StatusCode::kPermissionDenied,
                "SAN \"hub.example.com\"");
  ExpectRefused(Request(secret, "db1", {"10.0.0.8"}), StatusCode::kPermissionDenied,
                "nor in its join token");

  JoinRequest other_key = Request(secret, "db1");
  other_key.csr_pem = MakeKeyAndCsr("db1")->csr_pem;  // Somebody in between puts in their own.
  ExpectRefused(other_key, StatusCode::kUnauthenticated, "was changed on its way");
  JoinRequest other_sans = Request(secret, "db1");
  other_sans.sans = {kPeer};
  ExpectRefused(other_sans, StatusCode::kUnauthenticated, "was changed on its way");
  JoinRequest no_csr = Request(secret, "db1");
  no_csr.csr_pem = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n";
  no_csr.proof = *RequestProof(secret, no_csr);
  EXPECT_FALSE(Join(no_csr).ok());
  JoinRequest long_csr = Request(secret, "db1");
  long_csr.csr_pem.resize(kMaxCsrBytes + 1);
  ExpectRefused(long_csr, StatusCode::kInvalidArgument, "at most 8192");
  JoinRequest path = Request(secret, "db1");
  path.token_id = "../../ca.key";
  ExpectRefused(path, StatusCode::kUnauthenticated, "join token unknown");
  path.name = "../db1";
  EXPECT_EQ(Join(path).status().code(), StatusCode::kInvalidArgument);

  EXPECT_TRUE(Join(Request(secret, "db1")).ok());
}

TEST_F(EnrollerTest, AnExpiredTokenIsErasedAndSaysSo) {
  const std::string secret = Create({.role = Role::kAgent, .name = "db1", .ttl_ms = kHourMs});
  clock_.Advance(kHourMs);
  ExpectRefused(Request(secret, "db1"), StatusCode::kUnauthenticated, "expired at 2023-11-14T23:");
  EXPECT_EQ(TokenText(secret).find(secret), std::string::npos);
  EXPECT_EQ(tokens_.Add(secret, {.role = Role::kAgent}).code(), StatusCode::kAlreadyExists);
  clock_.Advance(8 * 24 * kHourMs);
  EXPECT_TRUE(tokens_.List()->empty());
}

TEST_F(EnrollerTest, RenewalKeepsRoleNamesAndLifetimeAndRefusesTheRevoked) {
  const std::string secret = Create({.role = Role::kAgent,
                                     .name = "db1",
                                     .sans = {"db.example"},
                                     .certificate_lifetime_ms = 30 * kHourMs});
  const Result<JoinAnswer> joined = Join(Request(secret, "db1", {"db.example", kPeer}));
  ASSERT_TRUE(joined.ok()) << joined.status().ToString();
  Identity peer = *ParseIdentity(joined->cert_pem);
  clock_.Advance(20 * kHourMs);
  const Result<Enroller::Renewal> renewed =
      enroller_.Renew(MakeKeyAndCsr("ignored")->csr_pem, peer);
  ASSERT_TRUE(renewed.ok()) << renewed.status().ToString();
  const Identity fresh = *ParseIdentity(renewed->cert_pem);
  EXPECT_EQ(fresh.name, "db1");
  EXPECT_EQ(fresh.role, Role::kAgent);
  EXPECT_EQ(fresh.dns_names, peer.dns_names);
  EXPECT_EQ(fresh.ip_addresses, peer.ip_addresses);
  EXPECT_EQ(fresh.not_after_ms - peer.not_after_ms, 20 * kHourMs);
  EXPECT_NE(fresh.serial, peer.serial);

  ASSERT_TRUE(CertificateAuthority::Open(dir(), clock_)->Revoke(peer.serial).ok());
  EXPECT_EQ(enroller_.Renew(MakeKeyAndCsr("db1")->csr_pem, peer).status().code(),
            StatusCode::kPermissionDenied);
  peer.serial = "abc";  // A foreign CA's, that the door happens to trust.
  EXPECT_NE(
      enroller_.Renew(MakeKeyAndCsr("db1")->csr_pem, peer).status().message().find("did not issue"),
      std::string::npos);
}

TEST(JoinToken, ReadsWhatItWrites) {
  const JoinToken token{std::string(40, 'x'), std::string(64, 'a')};
  const Result<JoinToken> got = ParseJoinToken(" " + FormatJoinToken(token) + "\n");
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got->secret, token.secret);
  EXPECT_EQ(got->ca_fingerprint, token.ca_fingerprint);
  EXPECT_TRUE(ParseJoinToken(std::string(24, 'x')).ok());
  for (const std::string& bad :
       {std::string(23, 'x'), std::string(129, 'x'), std::string(30, 'x') + " y",
        std::string(30, 'x') + ".", std::string(30, 'x') + "." + std::string(63, 'a'),
        std::string(30, 'x') + "." + std::string(64, 'G'), std::string()}) {
    const Result<JoinToken> refused = ParseJoinToken(bad);
    ASSERT_FALSE(refused.ok()) << bad;
    if (!bad.empty()) {
      EXPECT_EQ(refused.status().message().find(bad), std::string::npos) << "a secret in an error";
    }
  }
}

TEST(JoinToken, ProofsCoverEveryFieldAndItsBorders) {
  const std::string secret(32, 's');
  JoinRequest a{.token_id = "id", .name = "n", .sans = {"x", "y"}, .nonce = "1", .csr_pem = "2"};
  JoinRequest b = a;
  b.sans = {"xy"};
  EXPECT_NE(*RequestProof(secret, a), *RequestProof(secret, b));
  b = a;
  b.nonce = "12";
  b.csr_pem = "";
  EXPECT_NE(*RequestProof(secret, a), *RequestProof(secret, b));
  JoinAnswer answer{.cert_pem = "c", .ca_pem = "d"};
  JoinAnswer moved{.cert_pem = "cd", .ca_pem = ""};
  EXPECT_NE(*AnswerProof(secret, a, answer), *AnswerProof(secret, a, moved));
  EXPECT_NE(*AnswerProof(secret, a, answer), *AnswerProof(std::string(32, 't'), a, answer));
}

}  // namespace
}  // namespace vedette::tls
