#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/tls/identity.h"

namespace vedette::tls {

// A certificate authority in a directory, small enough to live beside the server or on a laptop:
//
//   ca.crt      its certificate, to be copied to every node
//   ca.key      its private key (0600), which never leaves this machine
//   ca.crl      what is revoked, to be copied wherever certificates are checked
//   ca-next.crt, ca-next.key, ca-old.key   while it is being replaced: see Rotate
//   issued.txt  one line a certificate: serial, role, name, not_after, revoked (ms since the epoch)
//
//   VEDETTE_ASSIGN_OR_RETURN(CertificateAuthority ca, CertificateAuthority::Open(dir, clock));
//   VEDETTE_ASSIGN_OR_RETURN(IssuedFiles files, ca.Issue({.role = Role::kAgent, .name = "db1"},
//   out));
//
// Keys are ECDSA P-256, serials 128 random bits. Several processes may use one directory: what
// changes it takes a lock file. Thread-compatible.
class CertificateAuthority {
 public:
  struct InitOptions {
    std::string name = "Vedette CA";
    int days = 3650;
  };
  // Makes the directory and the CA in it. A CA that is there already is left alone: ALREADY_EXISTS.
  static Status Init(const std::string& dir, const InitOptions& options, const Clock& clock);
  static Result<CertificateAuthority> Open(const std::string& dir, const Clock& clock);

  struct Request {
    Role role = Role::kNone;
    std::string name;
    // Host names and addresses; a prefix "dns:" or "ip:" is allowed, otherwise the text decides.
    // The name itself is always one of the DNS names.
    std::vector<std::string> sans;
    // How long it holds; may be negative in tests of expiry.
    int64_t lifetime_ms = 365LL * 24 * 3600 * 1000;
  };
  struct IssuedFiles {
    std::string cert_file;
    std::string key_file;
    std::string ca_file;
    std::string crl_file;
    Identity identity;
  };
  // A new key and its certificate as out_dir/NAME.key and NAME.crt, with copies of ca.crt and
  // ca.crl beside them. Files that are there are kept (ALREADY_EXISTS) unless `replace`.
  Result<IssuedFiles> Issue(const Request& request, const std::string& out_dir,
                            bool replace = false);

  // Signs the key in a CSR. Role, name and SANs are the request's: what the CSR asks for is
  // ignored, but it must be signed with its own key. Returns the certificate as PEM.
  Result<std::string> SignCsr(std::string_view csr_pem, const Request& request);

  struct Record {
    std::string serial;
    Role role = Role::kNone;
    std::string name;
    int64_t not_after_ms = 0;
    int64_t revoked_at_ms = 0;  // 0: not revoked.
  };
  // In the order of issue.
  Result<std::vector<Record>> List() const;

  // Revokes the certificate of that serial, or every valid one of that name, and writes ca.crl.
  // Returns how many; NOT_FOUND if there is none.
  Result<int> Revoke(std::string_view serial_or_name);

  // Replaces the CA without a moment in which somebody is refused: every node has to believe the
  // new one before anything is signed by it, and the old one until nothing signed by it is in use.
  //   kPrepare  a new CA is made; ca.crt holds both, the old one goes on signing
  //   kSwitch   the new one signs; both are believed
  //   kFinish   the old one is gone; refused while certificates that it signed still hold
  // Between the steps ca.crt and ca.crl have to reach the nodes: every renewal brings both.
  // FAILED_PRECONDITION: not the time for this step. `force`: finish all the same.
  enum class RotateStep : uint8_t { kPrepare, kSwitch, kFinish };
  static Status Rotate(const std::string& dir, RotateStep step, const InitOptions& options,
                       bool force, const Clock& clock);

  const std::string& cert_pem() const { return cert_pem_; }
  const Identity& identity() const { return identity_; }
  // SHA-256 of the certificate's DER in lower-case hexadecimal: what a join token pins.
  Result<std::string> Fingerprint() const;

 private:
  CertificateAuthority(std::string dir, const Clock& clock)
      : dir_(std::move(dir)), clock_(&clock) {}
  Status Append(const Record& record);

  std::string dir_;
  const Clock* clock_;
  std::string cert_pem_;
  std::string key_pem_;
  Identity identity_;
};

// SHA-256 of the first certificate's DER, as above.
Result<std::string> CertificateFingerprint(std::string_view pem);

// A key and a signing request for it, both PEM: what a node makes before it joins.
struct KeyAndCsr {
  std::string key_pem;
  std::string csr_pem;
};
Result<KeyAndCsr> MakeKeyAndCsr(std::string_view name);

}  // namespace vedette::tls
