#include "common/tls/trust.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "common/tls/files.h"
#include "common/tls/openssl.h"

namespace vedette::tls {
namespace {

// A CA that publishes no list has revoked nothing. (A bundle may hold one with and one without.) A
// list from a clock ahead of ours is used all the same: refusing everybody would help nobody.
int AcceptCrl(int ok, X509_STORE_CTX* context) {
  const int error = X509_STORE_CTX_get_error(context);
  if (ok == 0 && (error == X509_V_ERR_UNABLE_TO_GET_CRL || error == X509_V_ERR_CRL_NOT_YET_VALID)) {
    X509_STORE_CTX_set_error(context, X509_V_OK);
    return 1;
  }
  return ok;
}

// The reason in our words, with what to do about it.
std::string Reason(int error, const Identity& peer, const std::string& ca_file) {
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return StrCat("certificate expired at ", FormatUtc(peer.not_after_ms));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return StrCat("certificate is not valid before ", FormatUtc(peer.not_before_ms),
                    " (are the clocks right?)");
    case X509_V_ERR_CERT_REVOKED:
      return "certificate is revoked";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return StrCat("certificate is not from a CA in ", ca_file);
    case X509_V_ERR_CRL_HAS_EXPIRED:
      return "the revocation list is out of date: publish a new one";
    default:
      return X509_verify_cert_error_string(error);
  }
}

}  // namespace

struct TrustStore::Loaded {
  StorePtr store;
  // When a CA or a list of these ends: until the next of it what was believed is.
  std::vector<int64_t> ends_ms;

  int64_t NextEndMs(int64_t now_ms) const {
    int64_t next = INT64_MAX;
    for (const int64_t end_ms : ends_ms) {
      if (end_ms > now_ms) next = std::min(next, end_ms);
    }
    return next;
  }

  static Result<std::shared_ptr<const Loaded>> Read(const std::string& ca_file,
                                                    const std::string& crl_file) {
    VEDETTE_ASSIGN_OR_RETURN(const std::string ca_pem, ReadFile(ca_file));
    Result<std::vector<CertPtr>> cas = ParseCertificates(ca_pem);
    if (!cas.ok()) return cas.status().Annotate(ca_file);
    auto out = std::make_shared<Loaded>();
    out->store.reset(X509_STORE_new());
    for (const CertPtr& ca : *cas) {
      X509_STORE_add_cert(out->store.get(), ca.get());
      out->ends_ms.push_back(ToUnixMs(X509_get0_notAfter(ca.get())));
    }
    if (!crl_file.empty()) {
      Result<std::string> crl_pem = ReadFile(crl_file);
      if (!crl_pem.ok() && crl_pem.status().code() != StatusCode::kNotFound) {
        return crl_pem.status();
      }
      if (crl_pem.ok()) {
        Result<std::vector<CrlPtr>> crls = ParseCrls(*crl_pem);
        if (!crls.ok()) return crls.status().Annotate(crl_file);
        for (const CrlPtr& crl : *crls) {
          X509_STORE_add_crl(out->store.get(), crl.get());
          if (const ASN1_TIME* end = X509_CRL_get0_nextUpdate(crl.get())) {
            out->ends_ms.push_back(ToUnixMs(end));
          }
        }
        if (!crls->empty()) {
          X509_STORE_set_flags(out->store.get(), X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
          X509_STORE_set_verify_cb(out->store.get(), AcceptCrl);
        }
      }
    }
    return std::shared_ptr<const Loaded>(std::move(out));
  }
};

Result<std::string> ReadCertificate(const std::string& path) { return ReadFile(path); }

TrustStore::TrustStore(std::string ca_file, std::string crl_file, const Clock& clock)
    : ca_file_(std::move(ca_file)), crl_file_(std::move(crl_file)), clock_(clock) {}

TrustStore::~TrustStore() = default;

std::shared_ptr<const TrustStore::Loaded> TrustStore::Current() {
  // Stamped before they are read: a change in between is seen at the next call.
  std::string ca_stamp = FileStamp(ca_file_);
  std::string crl_stamp = crl_file_.empty() ? std::string() : FileStamp(crl_file_);
  {
    MutexLock lock(mu_);
    if (ca_stamp == ca_stamp_ && crl_stamp == crl_stamp_) return loaded_;
  }
  Result<std::shared_ptr<const Loaded>> fresh = Loaded::Read(ca_file_, crl_file_);
  MutexLock lock(mu_);
  ca_stamp_ = std::move(ca_stamp);
  crl_stamp_ = std::move(crl_stamp);
  if (fresh.ok()) {
    loaded_ = *std::move(fresh);
    last_reload_ = {};
  } else {
    last_reload_ = fresh.status();
  }
  return loaded_;
}

Result<Identity> TrustStore::Verify(std::string_view leaf_pem, std::string_view chain_pem) {
  if (leaf_pem.empty()) return Unauthenticated("no certificate was presented");
  const std::shared_ptr<const Loaded> loaded = Current();
  if (loaded == nullptr) {
    MutexLock lock(mu_);
    return Unauthenticated(StrCat("no CA to check the certificate with: ", last_reload_.message()));
  }
  Result<std::vector<CertPtr>> leaf = ParseCertificates(leaf_pem);
  if (!leaf.ok()) return Unauthenticated(leaf.status().message());
  const Identity identity = IdentityOf(leaf->front().get());

  std::vector<CertPtr> others;
  if (!chain_pem.empty()) {
    Result<std::vector<CertPtr>> chain = ParseCertificates(chain_pem);
    if (!chain.ok()) return Unauthenticated(chain.status().Annotate("chain").message());
    others = *std::move(chain);
  }
  STACK_OF(X509)* untrusted = sk_X509_new_null();
  for (const CertPtr& cert : others) sk_X509_push(untrusted, cert.get());
  StoreContextPtr context(X509_STORE_CTX_new());
  int error = X509_V_ERR_OUT_OF_MEM;
  if (context != nullptr && untrusted != nullptr &&
      X509_STORE_CTX_init(context.get(), loaded->store.get(), leaf->front().get(), untrusted) ==
          1) {
    X509_STORE_CTX_set_time(context.get(), 0, static_cast<time_t>(clock_.NowMs() / 1000));
    error =
        X509_verify_cert(context.get()) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(context.get());
    if (error == X509_V_OK && X509_STORE_CTX_get_error(context.get()) != X509_V_OK) {
      error = X509_STORE_CTX_get_error(context.get());
    }
  }
  std::string blamed;
  if (error != X509_V_OK && context != nullptr &&
      X509_STORE_CTX_get_error_depth(context.get()) > 0) {
    if (X509* at = X509_STORE_CTX_get_current_cert(context.get())) {
      const Identity ca = IdentityOf(at);
      blamed =
          StrCat(" (the CA ", Quoted(ca.name), ", valid until ", FormatUtc(ca.not_after_ms), ")");
    }
  }
  sk_X509_free(untrusted);
  context.reset();
  ERR_clear_error();
  if (error != X509_V_OK) {
    return Unauthenticated(
        StrCat(Reason(error, identity, ca_file_), blamed, ": ", Describe(identity)));
  }
  return identity;
}

Result<const Identity*> TrustStore::VerifyAgain(std::string_view leaf_pem,
                                                std::string_view chain_pem, Believed& believed) {
  // To parse certificates and check their signatures costs several times what else a pull does.
  constexpr int64_t kAgainMs = 3'600'000;
  // Before Verify looks: files that change in between are seen at the next call.
  const std::shared_ptr<const Loaded> loaded = Current();
  const int64_t now_ms = clock_.NowMs();
  if (loaded != nullptr && believed.files == loaded && now_ms >= believed.from_ms &&
      now_ms < believed.until_ms && believed.leaf_pem == leaf_pem &&
      believed.chain_pem == chain_pem) {
    return &believed.identity;
  }
  believed.files = nullptr;
  VEDETTE_ASSIGN_OR_RETURN(believed.identity, Verify(leaf_pem, chain_pem));
  believed.leaf_pem = leaf_pem;
  believed.chain_pem = chain_pem;
  believed.from_ms = now_ms;
  believed.until_ms = std::min({now_ms + kAgainMs, believed.identity.not_after_ms,
                                loaded == nullptr ? now_ms : loaded->NextEndMs(now_ms)});
  // Often its CA's; what has ended already, and was believed all the same, played no part.
  if (!chain_pem.empty() && chain_pem != leaf_pem) {
    VEDETTE_ASSIGN_OR_RETURN(const std::vector<CertPtr> chain, ParseCertificates(chain_pem));
    for (const CertPtr& cert : chain) {
      const int64_t end_ms = ToUnixMs(X509_get0_notAfter(cert.get()));
      if (end_ms > now_ms) believed.until_ms = std::min(believed.until_ms, end_ms);
    }
  }
  believed.files = loaded;
  return &believed.identity;
}

Status TrustStore::LastReload() const {
  MutexLock lock(mu_);
  return last_reload_;
}

Result<Identity> CheckFiles(const CertificateFiles& files, const Clock& clock) {
  struct Named {
    const std::string& path;
    std::string_view what;
  };
  for (const Named& f :
       {Named{files.ca_file, "CA certificate"}, Named{files.cert_file, "certificate"},
        Named{files.key_file, "private key"}}) {
    if (f.path.empty()) {
      return InvalidArgument(StrCat("no ", f.what, " file given; 'vedettectl ca' makes one"));
    }
  }
  VEDETTE_ASSIGN_OR_RETURN(const std::string cert_pem, ReadFile(files.cert_file));
  Result<std::vector<CertPtr>> certs = ParseCertificates(cert_pem);
  if (!certs.ok()) return certs.status().Annotate(files.cert_file);
  VEDETTE_ASSIGN_OR_RETURN(const std::string key_pem, ReadFile(files.key_file));
  Result<KeyPtr> key = ParseKey(key_pem);
  if (!key.ok()) return key.status().Annotate(files.key_file);
  if (X509_check_private_key(certs->front().get(), key->get()) != 1) {
    ERR_clear_error();
    return InvalidArgument(StrCat(files.key_file, " is not the key of the certificate in ",
                                  files.cert_file, ": issue both anew"));
  }
  struct stat s;
  if (::stat(files.key_file.c_str(), &s) == 0 && (s.st_mode & 0007) != 0) {
    return PermissionDenied(StrCat("private key ", files.key_file,
                                   " can be read or written by everyone: chmod 0600 it"));
  }
  TrustStore trust(files.ca_file, files.crl_file, clock);
  Result<Identity> own = trust.Verify(cert_pem, cert_pem);
  VEDETTE_RETURN_IF_ERROR(trust.LastReload());
  if (!own.ok()) {
    return FailedPrecondition(StrCat(files.cert_file, ": ", own.status().message()));
  }
  return own;
}

int64_t CertificateEnd::NotAfterMs() {
  MutexLock lock(mu_);
  std::string stamp = FileStamp(path_);
  if (stamp == stamp_) return not_after_ms_;
  const Result<std::string> pem = ReadCertificate(path_);
  const Result<Identity> identity = pem.ok() ? ParseIdentity(*pem) : Result<Identity>(pem.status());
  // A file that is being replaced keeps what was known, and is looked at again.
  if (!identity.ok()) return not_after_ms_;
  stamp_ = std::move(stamp);
  not_after_ms_ = identity->not_after_ms;
  return not_after_ms_;
}

}  // namespace vedette::tls
