#include "common/tls/node_files.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <sstream>

#include "common/tls/ca.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace vedette::tls {
namespace {

class NodeFilesTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(CertificateAuthority::Init(ca_dir(), {}, clock_).ok()); }
  std::string ca_dir() const { return temp_.path() + "/ca"; }
  struct Made {
    std::string key, cert, ca;
  };
  Made Make() {
    Result<CertificateAuthority> ca = CertificateAuthority::Open(ca_dir(), clock_);
    const Result<KeyAndCsr> made = MakeKeyAndCsr("db1");
    return {made->key_pem, *ca->SignCsr(made->csr_pem, {.role = Role::kAgent, .name = "db1"}),
            ca->cert_pem()};
  }
  bool Whole() { return CheckFiles(node_.paths(), clock_).ok(); }
  static void Write(const std::string& path, const std::string& text) {
    std::ofstream(path) << text;
  }

  testing::TempDir temp_;
  testing::FakeClock clock_;
  const NodeFiles node_{.dir = temp_.path() + "/node", .name = "db1"};
};

TEST_F(NodeFilesTest, AForeignKeyOrCaIsNotStored) {
  const Made a = Make();
  const Made b = Make();
  EXPECT_FALSE(node_.Store(b.key, a.cert, a.ca, "").ok());
  EXPECT_FALSE(node_.Store(a.key, a.cert, b.cert, "").ok());
  EXPECT_TRUE(node_.Store(a.key, a.cert, a.ca, "").ok());
  EXPECT_TRUE(Whole());
}

TEST_F(NodeFilesTest, ACrashAtAnyPointOfAChangeLeavesAWholePair) {
  const Made old = Make();
  const Made fresh = Make();
  const CertificateFiles files = node_.paths();
  // 0: only the new key is there. 1: both are. 2: the key has been moved.
  for (int stage = 0; stage < 3; ++stage) {
    SCOPED_TRACE(stage);
    ASSERT_TRUE(node_.Store(old.key, old.cert, old.ca, "").ok());
    Write(files.key_file + ".new", fresh.key);
    if (stage >= 1) Write(files.cert_file + ".new", fresh.cert);
    if (stage == 2) {
      ASSERT_EQ(std::rename((files.key_file + ".new").c_str(), files.key_file.c_str()), 0);
      EXPECT_FALSE(CheckFiles(files, clock_).ok());
    }
    // The mode of a file written by this test is not what Store gives it.
    EXPECT_TRUE(node_.Finish().ok());
    EXPECT_FALSE(std::ifstream(files.cert_file + ".new").good());
    EXPECT_FALSE(std::ifstream(files.key_file + ".new").good());
    std::stringstream cert;
    cert << std::ifstream(files.cert_file).rdbuf();
    EXPECT_EQ(cert.str(), stage == 2 ? fresh.cert : old.cert);
  }
}

TEST_F(NodeFilesTest, TheRecordReadsBackAndRenewalIsDueAtTwoThirds) {
  const Made made = Make();
  ASSERT_TRUE(node_.Store(made.key, made.cert, made.ca, "").ok());
  ASSERT_TRUE(WriteJoinRecord(node_.dir, {"hub:9467", "hub", "db1"}).ok());
  const Result<JoinRecord> record = ReadJoinRecord(node_.dir);
  ASSERT_TRUE(record.ok()) << record.status().ToString();
  EXPECT_EQ(record->server, "hub:9467");
  EXPECT_EQ(record->server_name, "hub");
  Write(node_.dir + "/join.txt", "server hub:9467\nname ../x\n");
  EXPECT_FALSE(ReadJoinRecord(node_.dir).ok());
  EXPECT_EQ(RenewAtMs({.not_before_ms = 1000, .not_after_ms = 4000}), 3000);
}

}  // namespace
}  // namespace vedette::tls
