#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/status.h"

struct ssl_ctx_st;

namespace vedette::tls {

// tls_server_config of Prometheus' web configuration file, with its names and defaults.
struct ServerTlsOptions {
  std::string cert_file;
  std::string key_file;
  // NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven or
  // RequireAndVerifyClientCert.
  std::string client_auth_type = "NoClientCert";
  std::string client_ca_file;
  // Not part of Prometheus' file: what client_ca_file's CAs revoked. Empty: nothing.
  std::string client_crl_file;
  // If any: a client certificate must carry one of these (DNS, IP, e-mail or URI, exactly).
  std::vector<std::string> client_allowed_sans;
  std::string min_version = "TLS12";  // TLS12 or TLS13: older ones are refused.
  std::string max_version = "TLS13";
  // Go's names of TLS 1.2 suites (TLS_ECDHE_…); empty: OpenSSL's choice. TLS 1.3 has its own.
  std::vector<std::string> cipher_suites;
  // CurveP256, CurveP384, CurveP521, X25519; empty: OpenSSL's choice.
  std::vector<std::string> curve_preferences;
  bool prefer_server_cipher_suites = true;
};

// The TLS side of an HTTPS door. Get() gives the context for the next connection, made anew when
// one of the files changed; connections that stand keep theirs. Files that are bad now keep the
// context that was good before.
//
//   VEDETTE_ASSIGN_OR_RETURN(std::unique_ptr<ServerTls> tls, ServerTls::Create(options));
//   SSL* ssl = SSL_new(tls->Get().get());
//
// Thread-safe.
class ServerTls {
 public:
  // Reads everything once; whatever is wrong with options or files is said here.
  static Result<std::unique_ptr<ServerTls>> Create(ServerTlsOptions options);

  std::shared_ptr<ssl_ctx_st> Get() VEDETTE_EXCLUDES(mu_);

  // Why the files as they are now could not be used; OK if they could.
  Status LastReload() const VEDETTE_EXCLUDES(mu_);

 private:
  explicit ServerTls(ServerTlsOptions options) : options_(std::move(options)) {}
  std::string Stamp() const;

  const ServerTlsOptions options_;
  mutable Mutex mu_;
  std::shared_ptr<ssl_ctx_st> context_ VEDETTE_GUARDED_BY(mu_);
  std::string stamp_ VEDETTE_GUARDED_BY(mu_);
  Status last_reload_ VEDETTE_GUARDED_BY(mu_);
};

}  // namespace vedette::tls
