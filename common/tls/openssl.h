#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/tls/identity.h"

// OpenSSL's structures by their tags, so that its headers stay in the .cc files.
struct asn1_string_st;
struct bio_st;
struct evp_pkey_st;
struct x509_st;
struct x509_store_st;
struct x509_store_ctx_st;
struct X509_crl_st;
struct X509_req_st;

// How this folder holds OpenSSL's objects. Private to common/tls.
namespace vedette::tls {

struct OpenSslFree {
  void operator()(bio_st* p) const;
  void operator()(evp_pkey_st* p) const;
  void operator()(x509_st* p) const;
  void operator()(x509_store_st* p) const;
  void operator()(x509_store_ctx_st* p) const;
  void operator()(X509_crl_st* p) const;
  void operator()(X509_req_st* p) const;
};

using BioPtr = std::unique_ptr<bio_st, OpenSslFree>;
using KeyPtr = std::unique_ptr<evp_pkey_st, OpenSslFree>;
using CertPtr = std::unique_ptr<x509_st, OpenSslFree>;
using StorePtr = std::unique_ptr<x509_store_st, OpenSslFree>;
using StoreContextPtr = std::unique_ptr<x509_store_ctx_st, OpenSslFree>;
using CrlPtr = std::unique_ptr<X509_crl_st, OpenSslFree>;
using RequestPtr = std::unique_ptr<X509_req_st, OpenSslFree>;

// `what`, then everything that OpenSSL has queued up about it. Empties the queue.
Status OpenSslError(std::string_view what);

// A chain longer than this is not read: nobody has one, but a hostile peer may send one.
inline constexpr size_t kMaxCertificates = 64;

// Every certificate of a PEM text, in its order; at least one.
Result<std::vector<CertPtr>> ParseCertificates(std::string_view pem);
Result<KeyPtr> ParseKey(std::string_view pem);
Result<RequestPtr> ParseRequest(std::string_view pem);
// Every CRL of a PEM text; none is fine.
Result<std::vector<CrlPtr>> ParseCrls(std::string_view pem);

Result<std::string> ToPem(x509_st* cert);
Result<std::string> ToPem(evp_pkey_st* key);
Result<std::string> ToPem(X509_crl_st* crl);
Result<std::string> ToPem(X509_req_st* request);

// A new ECDSA P-256 key.
Result<KeyPtr> NewKey();

Identity IdentityOf(x509_st* cert);

int64_t ToUnixMs(const asn1_string_st* time);

// 2027-03-01T12:00:00Z.
std::string FormatUtc(int64_t t_ms);

}  // namespace vedette::tls
