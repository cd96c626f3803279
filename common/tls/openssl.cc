#include "common/tls/openssl.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>

#include <array>
#include <ctime>

#include "common/base/strings.h"

namespace vedette::tls {
namespace {

BioPtr ReadBio(std::string_view text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Result<std::string> Contents(bool written, const BioPtr& bio, std::string_view what) {
  if (!written) return OpenSslError(what);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

// An encrypted key must not make a daemon ask its terminal for a password.
int NoPassword(char*, int, int, void*) { return -1; }

std::string OneLine(X509_NAME* name) {
  BioPtr bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_ONELINE & ~XN_FLAG_SPC_EQ);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

std::string CommonName(X509* cert) {
  const X509_NAME* subject = X509_get_subject_name(cert);
  const int at = X509_NAME_get_index_by_NID(const_cast<X509_NAME*>(subject), NID_commonName, -1);
  if (at < 0) return {};
  unsigned char* utf8 = nullptr;
  const int size =
      ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  if (size < 0) return {};
  std::string out(reinterpret_cast<char*>(utf8), static_cast<size_t>(size));
  OPENSSL_free(utf8);
  return out;
}

// Fills role and name from spiffe://DOMAIN/role/ROLE/name/NAME; false for any other URI.
bool ReadRoleUri(std::string_view uri, Identity& identity) {
  constexpr std::string_view kScheme = "spiffe://";
  if (!uri.starts_with(kScheme)) return false;
  const std::vector<std::string_view> parts = Split(uri.substr(kScheme.size()), '/');
  if (parts.size() != 5 || parts[1] != "role" || parts[3] != "name") return false;
  const Result<Role> role = ParseRole(parts[2]);
  if (!role.ok() || !CheckName(parts[4]).ok()) return false;
  identity.role = *role;
  identity.name = parts[4];
  return true;
}

}  // namespace

void OpenSslFree::operator()(bio_st* p) const { BIO_free_all(p); }
void OpenSslFree::operator()(evp_pkey_st* p) const { EVP_PKEY_free(p); }
void OpenSslFree::operator()(x509_st* p) const { X509_free(p); }
void OpenSslFree::operator()(x509_store_st* p) const { X509_STORE_free(p); }
void OpenSslFree::operator()(x509_store_ctx_st* p) const { X509_STORE_CTX_free(p); }
void OpenSslFree::operator()(X509_crl_st* p) const { X509_CRL_free(p); }
void OpenSslFree::operator()(X509_req_st* p) const { X509_REQ_free(p); }

Status OpenSslError(std::string_view what) {
  std::string message(what);
  for (unsigned long code; (code = ERR_get_error()) != 0;) {
    std::array<char, 256> text;
    ERR_error_string_n(code, text.data(), text.size());
    StrAppend(message, ": ", std::string_view(text.data()));
  }
  return InvalidArgument(message);
}

Result<std::vector<CertPtr>> ParseCertificates(std::string_view pem) {
  BioPtr bio = ReadBio(pem);
  std::vector<CertPtr> out;
  while (CertPtr cert{PEM_read_bio_X509(bio.get(), nullptr, NoPassword, nullptr)}) {
    if (out.size() == kMaxCertificates) {
      ERR_clear_error();
      return ResourceExhausted(StrCat("more than ", kMaxCertificates, " certificates in one file"));
    }
    out.push_back(std::move(cert));
  }
  // The end of the text is an error to OpenSSL; anything else is one to us as well.
  if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
    return OpenSslError("not a PEM certificate");
  }
  ERR_clear_error();
  if (out.empty()) return InvalidArgument("no '-----BEGIN CERTIFICATE-----' in it");
  return out;
}

Result<KeyPtr> ParseKey(std::string_view pem) {
  BioPtr bio = ReadBio(pem);
  KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassword, nullptr));
  if (key == nullptr) return OpenSslError("not an unencrypted PEM private key");
  return key;
}

Result<RequestPtr> ParseRequest(std::string_view pem) {
  BioPtr bio = ReadBio(pem);
  RequestPtr request(PEM_read_bio_X509_REQ(bio.get(), nullptr, NoPassword, nullptr));
  if (request == nullptr) return OpenSslError("not a PEM certificate signing request");
  return request;
}

Result<std::vector<CrlPtr>> ParseCrls(std::string_view pem) {
  BioPtr bio = ReadBio(pem);
  std::vector<CrlPtr> out;
  while (CrlPtr crl{PEM_read_bio_X509_CRL(bio.get(), nullptr, NoPassword, nullptr)}) {
    if (out.size() == kMaxCertificates) {
      ERR_clear_error();
      return ResourceExhausted(StrCat("more than ", kMaxCertificates, " CRLs in one file"));
    }
    out.push_back(std::move(crl));
  }
  if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
    return OpenSslError("not a PEM revocation list");
  }
  ERR_clear_error();
  return out;
}

Result<std::string> ToPem(x509_st* cert) {
  BioPtr bio(BIO_new(BIO_s_mem()));
  return Contents(PEM_write_bio_X509(bio.get(), cert) == 1, bio, "write certificate");
}

Result<std::string> ToPem(evp_pkey_st* key) {
  BioPtr bio(BIO_new(BIO_s_secmem()));
  return Contents(
      PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1,
      bio, "write key");
}

Result<std::string> ToPem(X509_crl_st* crl) {
  BioPtr bio(BIO_new(BIO_s_mem()));
  return Contents(PEM_write_bio_X509_CRL(bio.get(), crl) == 1, bio, "write revocation list");
}

Result<std::string> ToPem(X509_req_st* request) {
  BioPtr bio(BIO_new(BIO_s_mem()));
  return Contents(PEM_write_bio_X509_REQ(bio.get(), request) == 1, bio, "write signing request");
}

Result<KeyPtr> NewKey() {
  KeyPtr key(EVP_EC_gen("P-256"));
  if (key == nullptr) return OpenSslError("make an ECDSA P-256 key");
  return key;
}

int64_t ToUnixMs(const asn1_string_st* time) {
  std::tm tm{};
  if (ASN1_TIME_to_tm(time, &tm) != 1) return 0;
  return static_cast<int64_t>(timegm(&tm)) * 1000;
}

std::string FormatUtc(int64_t t_ms) {
  const std::time_t t = static_cast<std::time_t>(t_ms / 1000);
  std::tm tm{};
  gmtime_r(&t, &tm);
  std::array<char, 40> text;
  return std::string(text.data(),
                     std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &tm));
}

Identity IdentityOf(x509_st* cert) {
  Identity out;
  out.name = CommonName(cert);
  out.issuer = OneLine(X509_get_issuer_name(cert));
  out.not_before_ms = ToUnixMs(X509_get0_notBefore(cert));
  out.not_after_ms = ToUnixMs(X509_get0_notAfter(cert));
  if (BIGNUM* serial = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), nullptr)) {
    if (char* hex = BN_bn2hex(serial)) {
      for (const char* c = hex; *c != '\0'; ++c) {
        out.serial.push_back(*c >= 'A' && *c <= 'F' ? static_cast<char>(*c - 'A' + 'a') : *c);
      }
      OPENSSL_free(hex);
    }
    BN_free(serial);
  }

  auto* names =
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(cert, NID_subject_alt_name, nullptr, nullptr));
  int role_uris = 0;
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type == GEN_IPADD) {
      const unsigned char* data = ASN1_STRING_get0_data(name->d.iPAddress);
      const int size = ASN1_STRING_length(name->d.iPAddress);
      std::array<char, INET6_ADDRSTRLEN> text;
      if ((size == 4 || size == 16) &&
          inet_ntop(size == 4 ? AF_INET : AF_INET6, data, text.data(), text.size()) != nullptr) {
        out.ip_addresses.emplace_back(text.data());
      }
    } else if (name->type == GEN_DNS || name->type == GEN_URI) {
      const ASN1_IA5STRING* ia5 =
          name->type == GEN_DNS ? name->d.dNSName : name->d.uniformResourceIdentifier;
      const std::string_view text(reinterpret_cast<const char*>(ASN1_STRING_get0_data(ia5)),
                                  static_cast<size_t>(ASN1_STRING_length(ia5)));
      if (name->type == GEN_DNS) {
        out.dns_names.emplace_back(text);
      } else if (ReadRoleUri(text, out)) {
        ++role_uris;
      }
    }
  }
  GENERAL_NAMES_free(names);
  // Two roles in one certificate is somebody's mistake or trick: it gets none.
  if (role_uris > 1) out.role = Role::kNone;
  return out;
}

}  // namespace vedette::tls
