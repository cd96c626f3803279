#include "common/tls/server_context.h"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/ssl.h>

#include <string>

#include "common/base/clock.h"
#include "common/tls/ca.h"
#include "tests/support/temp_dir.h"

namespace vedette::tls {
namespace {

using IssuedFiles = CertificateAuthority::IssuedFiles;

class ServerTlsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(CertificateAuthority::Init(temp_.path(), {}, SystemClock()).ok());
    web_ = Issue(Role::kServer, "web");
    alice_ = Issue(Role::kViewer, "alice");
    bob_ = Issue(Role::kViewer, "bob");
  }

  IssuedFiles Issue(Role role, const std::string& name, bool replace = false) {
    Result<CertificateAuthority> ca = CertificateAuthority::Open(temp_.path(), SystemClock());
    Result<IssuedFiles> out = ca->Issue({.role = role, .name = name}, temp_.path(), replace);
    EXPECT_TRUE(out.ok()) << out.status().ToString();
    return *std::move(out);
  }

  ServerTlsOptions Options() const {
    return {.cert_file = web_.cert_file, .key_file = web_.key_file};
  }

  // Shakes hands in memory; whether the server was content, and the serial that the client saw.
  bool Handshake(ServerTls& tls, const IssuedFiles* client_files, std::string* serial = nullptr,
                 int max_version = TLS1_3_VERSION) {
    const std::shared_ptr<SSL_CTX> server_ctx = tls.Get();
    SSL_CTX* client_ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(client_ctx, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(client_ctx, max_version);
    SSL_CTX_set_security_level(client_ctx, 0);
    if (client_files != nullptr) {
      SSL_CTX_use_certificate_chain_file(client_ctx, client_files->cert_file.c_str());
      SSL_CTX_use_PrivateKey_file(client_ctx, client_files->key_file.c_str(), SSL_FILETYPE_PEM);
    }
    SSL* server = SSL_new(server_ctx.get());
    SSL* client = SSL_new(client_ctx);
    BIO* a = nullptr;
    BIO* b = nullptr;
    BIO_new_bio_pair(&a, 0, &b, 0);
    SSL_set_bio(server, a, a);
    SSL_set_bio(client, b, b);
    SSL_set_accept_state(server);
    SSL_set_connect_state(client);
    int server_done = 0;
    for (int i = 0; i < 10 && server_done != 1; ++i) {
      SSL_do_handshake(client);
      server_done = SSL_do_handshake(server);
    }
    if (serial != nullptr) {
      X509* cert = SSL_get0_peer_certificate(client);
      BIO* pem = BIO_new(BIO_s_mem());
      if (cert != nullptr) i2a_ASN1_INTEGER(pem, X509_get_serialNumber(cert));
      char* data = nullptr;
      const long size = BIO_get_mem_data(pem, &data);
      serial->assign(data, static_cast<size_t>(size));
      BIO_free(pem);
    }
    SSL_free(server);
    SSL_free(client);
    SSL_CTX_free(client_ctx);
    return server_done == 1;
  }

  testing::TempDir temp_;
  IssuedFiles web_, alice_, bob_;
};

TEST_F(ServerTlsTest, ClientCertificatesAreAskedForAsTheConfigurationSays) {
  ServerTlsOptions options = Options();
  Result<std::unique_ptr<ServerTls>> tls = ServerTls::Create(options);
  ASSERT_TRUE(tls.ok()) << tls.status().ToString();
  EXPECT_TRUE(Handshake(**tls, nullptr));
  EXPECT_FALSE(Handshake(**tls, nullptr, nullptr, TLS1_1_VERSION)) << "TLS 1.1";

  options.client_auth_type = "RequireAndVerifyClientCert";
  EXPECT_FALSE(ServerTls::Create(options).ok()) << "needs client_ca_file";
  options.client_ca_file = web_.ca_file;
  tls = ServerTls::Create(options);
  ASSERT_TRUE(tls.ok()) << tls.status().ToString();
  EXPECT_FALSE(Handshake(**tls, nullptr));
  EXPECT_TRUE(Handshake(**tls, &alice_));
  EXPECT_TRUE(Handshake(**tls, &bob_));

  options.client_allowed_sans = {"alice"};
  tls = ServerTls::Create(options);
  ASSERT_TRUE(tls.ok());
  EXPECT_TRUE(Handshake(**tls, &alice_));
  EXPECT_FALSE(Handshake(**tls, &bob_));
  options.client_allowed_sans = {RoleUri(Role::kViewer, "bob")};
  tls = ServerTls::Create(options);
  ASSERT_TRUE(tls.ok());
  EXPECT_TRUE(Handshake(**tls, &bob_));
}

TEST_F(ServerTlsTest, ARevokedClientIsRefused) {
  ServerTlsOptions options = Options();
  options.client_auth_type = "RequireAndVerifyClientCert";
  options.client_ca_file = web_.ca_file;
  options.client_crl_file = web_.crl_file;
  Result<std::unique_ptr<ServerTls>> tls = ServerTls::Create(options);
  ASSERT_TRUE(tls.ok()) << tls.status().ToString();
  EXPECT_TRUE(Handshake(**tls, &bob_));
  Result<CertificateAuthority> ca = CertificateAuthority::Open(temp_.path(), SystemClock());
  ASSERT_TRUE(ca->Revoke("bob").ok());
  EXPECT_FALSE(Handshake(**tls, &bob_));
  EXPECT_TRUE(Handshake(**tls, &alice_));
}

TEST_F(ServerTlsTest, NewFilesAreServedWithoutRestartAndBadOnesAreNot) {
  Result<std::unique_ptr<ServerTls>> tls = ServerTls::Create(Options());
  ASSERT_TRUE(tls.ok());
  std::string before, after, damaged;
  ASSERT_TRUE(Handshake(**tls, nullptr, &before));
  Issue(Role::kServer, "web", /*replace=*/true);
  ASSERT_TRUE(Handshake(**tls, nullptr, &after));
  EXPECT_NE(before, after);
  ASSERT_EQ(std::remove(web_.key_file.c_str()), 0);
  ASSERT_TRUE(Handshake(**tls, nullptr, &damaged));
  EXPECT_EQ(after, damaged);
  EXPECT_NE((*tls)->LastReload().message().find("web.key"), std::string::npos);
}

TEST_F(ServerTlsTest, WrongOptionsAreRefusedByName) {
  ServerTlsOptions options = Options();
  options.min_version = "TLS11";
  EXPECT_NE(ServerTls::Create(options).status().message().find("min_version"), std::string::npos);
  options = Options();
  options.client_auth_type = "Sometimes";
  EXPECT_NE(ServerTls::Create(options).status().message().find("client_auth_type"),
            std::string::npos);
  options = Options();
  options.cipher_suites = {"TLS_ROT13"};
  EXPECT_NE(ServerTls::Create(options).status().message().find("TLS_ROT13"), std::string::npos);
  options = Options();
  options.cipher_suites = {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"};
  options.curve_preferences = {"CurveP256", "X25519"};
  EXPECT_TRUE(ServerTls::Create(options).ok());
  options.curve_preferences = {"Curve1"};
  EXPECT_NE(ServerTls::Create(options).status().message().find("Curve1"), std::string::npos);
}

}  // namespace
}  // namespace vedette::tls
