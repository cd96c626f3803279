#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/tls/identity.h"

namespace vedette::tls {

// Where a program finds its own certificate and those it believes, all PEM.
struct CertificateFiles {
  std::string ca_file;    // One or more CA certificates.
  std::string crl_file;   // What they revoked. Empty: nothing is; a missing file is the same.
  std::string cert_file;  // Our certificate, then its intermediates.
  std::string key_file;   // Its key, unencrypted, readable by us alone.
};

// Reads all four once and says in a sentence what is wrong with them: missing, unreadable, not PEM,
// key of another certificate, key readable by everyone, expired. For start-up, before a port opens.
// On success, our own identity.
Result<Identity> CheckFiles(const CertificateFiles& files, const Clock& clock);

// When the certificate in `path` ends, in ms since the epoch; 0 where it cannot be read. For
// metrics: reads the file when it has changed.
class CertificateEnd {
 public:
  explicit CertificateEnd(std::string path) : path_(std::move(path)) {}
  int64_t NotAfterMs() VEDETTE_EXCLUDES(mu_);

 private:
  const std::string path_;
  Mutex mu_;
  std::string stamp_ VEDETTE_GUARDED_BY(mu_);
  int64_t not_after_ms_ VEDETTE_GUARDED_BY(mu_) = 0;
};

// The PEM text of a certificate file, at most 4 MiB.
Result<std::string> ReadCertificate(const std::string& path);

// TrustStore decides whether a peer's certificate is to be believed, and says why not: by which CA,
// expired since when, revoked. CA and CRL files are looked at (stat) on every Verify and read again
// when they changed; a damaged new file keeps what was read before.
//
//   TrustStore trust(ca_file, crl_file, SystemClock());
//   Result<Identity> peer = trust.Verify(leaf_pem, chain_pem);
//
// Costs two stats and one signature check, about 0.1 ms. Thread-safe.
class TrustStore {
 public:
  // Reads nothing yet: a missing CA is an error of each Verify, so that it may appear later.
  TrustStore(std::string ca_file, std::string crl_file, const Clock& clock);
  ~TrustStore();
  TrustStore(const TrustStore&) = delete;
  TrustStore& operator=(const TrustStore&) = delete;

  // `chain_pem`: further certificates that the peer sent, possibly with the leaf among them.
  // UNAUTHENTICATED, with the reason, if the certificate is not to be believed now.
  Result<Identity> Verify(std::string_view leaf_pem, std::string_view chain_pem)
      VEDETTE_EXCLUDES(mu_);

  // A certificate that was believed, for VerifyAgain.
  struct Believed {
    std::string leaf_pem, chain_pem;
    Identity identity;
    int64_t from_ms = 0, until_ms = 0;  // By the clock: then its signature is checked again.
    std::shared_ptr<const void> files;  // CA and CRL as they were.
  };
  // As Verify, for whoever asks about one certificate again and again, as at each message of a
  // stream: its signature is not checked again before the CA or the CRL file has changed, the
  // certificate, one that came with it, a CA or a list has ended, or an hour has passed. Otherwise two
  // stats. The answer is inside `believed`.
  Result<const Identity*> VerifyAgain(std::string_view leaf_pem, std::string_view chain_pem,
                                      Believed& believed) VEDETTE_EXCLUDES(mu_);

  // Why the files as they are now could not be read; OK if they could.
  Status LastReload() const VEDETTE_EXCLUDES(mu_);

 private:
  struct Loaded;
  std::shared_ptr<const Loaded> Current() VEDETTE_EXCLUDES(mu_);

  const std::string ca_file_;
  const std::string crl_file_;
  const Clock& clock_;
  mutable Mutex mu_;
  std::shared_ptr<const Loaded> loaded_ VEDETTE_GUARDED_BY(mu_);  // Null until the first success.
  std::string ca_stamp_ VEDETTE_GUARDED_BY(mu_);
  std::string crl_stamp_ VEDETTE_GUARDED_BY(mu_);
  Status last_reload_ VEDETTE_GUARDED_BY(mu_);
};

}  // namespace vedette::tls
