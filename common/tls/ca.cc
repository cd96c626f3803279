#include "common/tls/ca.h"

#include <arpa/inet.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <system_error>
#include <utility>

#include "common/base/strings.h"
#include "common/tls/files.h"
#include "common/tls/openssl.h"

namespace vedette::tls {
namespace {

constexpr unsigned kPublic = 0644;
constexpr unsigned kPrivate = 0600;
// A node whose clock is an hour behind can use a certificate at once.
constexpr int64_t kBackdateMs = 65 * 60 * 1000;
constexpr size_t kMaxSans = 64;

std::string At(const std::string& dir, std::string_view file) { return StrCat(dir, "/", file); }

Status MakeDirectory(const std::string& dir) {
  std::error_code error;
  const bool made = std::filesystem::create_directories(dir, error);
  if (error) return Unavailable(StrCat("create directory ", dir, ": ", error.message()));
  if (made) std::filesystem::permissions(dir, std::filesystem::perms::owner_all, error);
  if (error) return Unavailable(StrCat("chmod 0700 ", dir, ": ", error.message()));
  return {};
}

bool SetTime(ASN1_TIME* field, int64_t t_ms) {
  return ASN1_TIME_set(field, static_cast<time_t>(t_ms / 1000)) != nullptr;
}

// 127 random bits: positive, and nobody can foresee the next one.
bool SetSerial(X509* cert) {
  BIGNUM* serial = BN_new();
  const bool ok = serial != nullptr &&
                  BN_rand(serial, 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
                  BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(cert)) != nullptr;
  BN_free(serial);
  return ok;
}

bool SetCommonName(X509_NAME* name, std::string_view text) {
  return X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(text.data()),
                                    static_cast<int>(text.size()), -1, 0) == 1;
}

bool AddExtension(X509* cert, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, cert, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  const bool ok = extension != nullptr && X509_add_ext(cert, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return ok;
}

bool PushName(GENERAL_NAMES* names, int type, ASN1_STRING* value) {
  GENERAL_NAME* name = GENERAL_NAME_new();
  if (name == nullptr || value == nullptr) {
    GENERAL_NAME_free(name);
    ASN1_STRING_free(value);
    return false;
  }
  GENERAL_NAME_set0_value(name, type, value);
  return sk_GENERAL_NAME_push(names, name) > 0;
}

bool PushText(GENERAL_NAMES* names, int type, std::string_view text) {
  ASN1_IA5STRING* value = ASN1_IA5STRING_new();
  if (value != nullptr) ASN1_STRING_set(value, text.data(), static_cast<int>(text.size()));
  return PushName(names, type, value);
}

// Built as structures, never as OpenSSL's configuration text, in which a comma in a name would
// start another name.
Status AddSan(GENERAL_NAMES* names, std::string_view san) {
  std::string_view text = san;
  const bool wants_ip = text.starts_with("ip:");
  const bool wants_dns = text.starts_with("dns:");
  if (wants_ip) text.remove_prefix(3);
  if (wants_dns) text.remove_prefix(4);
  if (!wants_dns) {
    const std::string host(text);
    std::array<unsigned char, 16> bytes;
    for (const auto& [family, size] : {std::pair{AF_INET, 4}, std::pair{AF_INET6, 16}}) {
      if (inet_pton(family, host.c_str(), bytes.data()) != 1) continue;
      ASN1_OCTET_STRING* value = ASN1_OCTET_STRING_new();
      if (value != nullptr) ASN1_OCTET_STRING_set(value, bytes.data(), size);
      if (!PushName(names, GEN_IPADD, value)) return Internal("out of memory");
      return {};
    }
    if (wants_ip) return InvalidArgument(StrCat("SAN ", Quoted(san), " is not an IP address"));
  }
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '*';
  };
  if (text.empty() || text.size() > 253 || !std::ranges::all_of(text, good)) {
    return InvalidArgument(StrCat("SAN ", Quoted(san), " is neither a DNS name nor an IP address"));
  }
  if (!PushText(names, GEN_DNS, text)) return Internal("out of memory");
  return {};
}

Status AddNames(X509* cert, const CertificateAuthority::Request& request) {
  if (request.sans.size() > kMaxSans) {
    return InvalidArgument(StrCat(request.sans.size(), " SANs; at most ", kMaxSans));
  }
  GENERAL_NAMES* names = GENERAL_NAMES_new();
  Status status;
  if (!PushText(names, GEN_URI, RoleUri(request.role, request.name)))
    status = Internal("out of memory");
  if (status.ok()) status = AddSan(names, StrCat("dns:", request.name));
  for (const std::string& san : request.sans) {
    if (status.ok() && san != request.name) status = AddSan(names, san);
  }
  if (status.ok() && X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, 0) != 1) {
    status = OpenSslError("add the names to the certificate");
  }
  GENERAL_NAMES_free(names);
  return status;
}

Result<CertPtr> Sign(X509* ca, EVP_PKEY* ca_key, EVP_PKEY* subject_key,
                     const CertificateAuthority::Request& request, int64_t now_ms) {
  VEDETTE_RETURN_IF_ERROR(CheckName(request.name));
  if (request.role == Role::kNone) return InvalidArgument("a certificate needs a role");
  CertPtr cert(X509_new());
  // Certificates that outlive their CA would fail one night for a reason that nobody sees in them.
  const int64_t not_after_ms =
      std::min(now_ms + request.lifetime_ms, ToUnixMs(X509_get0_notAfter(ca)));
  const int64_t not_before_ms = std::min(now_ms, not_after_ms) - kBackdateMs;
  const bool made = cert != nullptr && X509_set_version(cert.get(), X509_VERSION_3) == 1 &&
                    SetSerial(cert.get()) &&
                    SetTime(X509_getm_notBefore(cert.get()), not_before_ms) &&
                    SetTime(X509_getm_notAfter(cert.get()), not_after_ms) &&
                    X509_set_pubkey(cert.get(), subject_key) == 1 &&
                    SetCommonName(X509_get_subject_name(cert.get()), request.name) &&
                    X509_set_issuer_name(cert.get(), X509_get_subject_name(ca)) == 1 &&
                    AddExtension(cert.get(), ca, NID_basic_constraints, "critical,CA:FALSE") &&
                    AddExtension(cert.get(), ca, NID_key_usage, "critical,digitalSignature") &&
                    AddExtension(cert.get(), ca, NID_ext_key_usage, "serverAuth,clientAuth") &&
                    AddExtension(cert.get(), ca, NID_subject_key_identifier, "hash") &&
                    AddExtension(cert.get(), ca, NID_authority_key_identifier, "keyid:always");
  if (!made) return OpenSslError("make a certificate");
  VEDETTE_RETURN_IF_ERROR(AddNames(cert.get(), request));
  if (X509_sign(cert.get(), ca_key, EVP_sha256()) == 0) return OpenSslError("sign the certificate");
  return cert;
}

// The list of those of `records` that are revoked.
Result<std::string> SignCrl(X509* ca, EVP_PKEY* ca_key,
                            const std::vector<CertificateAuthority::Record>& records,
                            int64_t now_ms) {
  CrlPtr crl(X509_CRL_new());
  ASN1_TIME* time = ASN1_TIME_new();
  bool ok = crl != nullptr && time != nullptr && X509_CRL_set_version(crl.get(), 1) == 1 &&
            X509_CRL_set_issuer_name(crl.get(), X509_get_subject_name(ca)) == 1 &&
            SetTime(time, now_ms - kBackdateMs) && X509_CRL_set1_lastUpdate(crl.get(), time) == 1 &&
            // As long as the CA: a list that nobody renews must not stop every node one night.
            X509_CRL_set1_nextUpdate(crl.get(), X509_get0_notAfter(ca)) == 1;
  for (const CertificateAuthority::Record& record : records) {
    if (!ok || record.revoked_at_ms == 0) continue;
    BIGNUM* number = nullptr;
    X509_REVOKED* entry = X509_REVOKED_new();
    ok = BN_hex2bn(&number, record.serial.c_str()) > 0 && entry != nullptr;
    ASN1_INTEGER* serial = ok ? BN_to_ASN1_INTEGER(number, nullptr) : nullptr;
    ok = serial != nullptr && X509_REVOKED_set_serialNumber(entry, serial) == 1 &&
         SetTime(time, record.revoked_at_ms) && X509_REVOKED_set_revocationDate(entry, time) == 1 &&
         X509_CRL_add0_revoked(crl.get(), entry) == 1;
    if (!ok) X509_REVOKED_free(entry);
    ASN1_INTEGER_free(serial);
    BN_free(number);
  }
  ok = ok && X509_CRL_sort(crl.get()) == 1 && X509_CRL_sign(crl.get(), ca_key, EVP_sha256()) != 0;
  ASN1_TIME_free(time);
  if (!ok) return OpenSslError("sign the revocation list");
  return ToPem(crl.get());
}

// A list of each CA in `certs_pem`, by whichever key of the directory is its own. Serials are
// random, so a list may name certificates of the other CA.
Result<std::string> SignCrls(const std::string& dir, std::string_view certs_pem,
                             const std::vector<CertificateAuthority::Record>& records,
                             int64_t now_ms) {
  VEDETTE_ASSIGN_OR_RETURN(const std::vector<CertPtr> certs, ParseCertificates(certs_pem));
  std::string out;
  for (const CertPtr& cert : certs) {
    bool signed_by_one = false;
    for (const char* file : {"ca.key", "ca-next.key", "ca-old.key"}) {
      const Result<std::string> pem = ReadFile(At(dir, file));
      if (!pem.ok() && pem.status().code() == StatusCode::kNotFound) continue;
      if (!pem.ok()) return pem.status();
      Result<KeyPtr> key = ParseKey(*pem);
      if (!key.ok()) return key.status().Annotate(At(dir, file));
      if (X509_check_private_key(cert.get(), key->get()) != 1) {
        ERR_clear_error();
        continue;
      }
      VEDETTE_ASSIGN_OR_RETURN(const std::string crl,
                               SignCrl(cert.get(), key->get(), records, now_ms));
      out += crl;
      signed_by_one = true;
      break;
    }
    if (!signed_by_one) {
      return NotFound(StrCat("the key of a CA in ", At(dir, "ca.crt"), " is not in ", dir));
    }
  }
  return out;
}

std::string FormatRecord(const CertificateAuthority::Record& r) {
  return StrCat(r.serial, "\t", RoleName(r.role), "\t", r.name, "\t", r.not_after_ms, "\t",
                r.revoked_at_ms, "\n");
}

Result<CertificateAuthority::Record> ParseRecord(std::string_view line) {
  const std::vector<std::string_view> parts = Split(line, '\t');
  CertificateAuthority::Record out;
  const auto number = [](std::string_view text, int64_t& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size();
  };
  if (parts.size() != 5 || !number(parts[3], out.not_after_ms) ||
      !number(parts[4], out.revoked_at_ms)) {
    return DataLoss(StrCat("not 'serial role name not_after revoked': ", Quoted(line)));
  }
  VEDETTE_ASSIGN_OR_RETURN(out.role, ParseRole(parts[1]));
  out.serial = parts[0];
  out.name = parts[2];
  return out;
}

struct KeyAndCert {
  KeyPtr key;
  CertPtr cert;
};

// A CA that is signed by itself.
Result<KeyAndCert> MakeCa(const CertificateAuthority::InitOptions& options, int64_t now_ms) {
  VEDETTE_ASSIGN_OR_RETURN(KeyPtr key, NewKey());
  CertPtr cert(X509_new());
  const bool made =
      cert != nullptr && X509_set_version(cert.get(), X509_VERSION_3) == 1 &&
      SetSerial(cert.get()) && SetTime(X509_getm_notBefore(cert.get()), now_ms - kBackdateMs) &&
      SetTime(X509_getm_notAfter(cert.get()), now_ms + options.days * 86'400'000LL) &&
      X509_set_pubkey(cert.get(), key.get()) == 1 &&
      SetCommonName(X509_get_subject_name(cert.get()), options.name) &&
      X509_set_issuer_name(cert.get(), X509_get_subject_name(cert.get())) == 1 &&
      // No CA below this one: nothing that it signs may sign.
      AddExtension(cert.get(), cert.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
      AddExtension(cert.get(), cert.get(), NID_key_usage, "critical,keyCertSign,cRLSign") &&
      AddExtension(cert.get(), cert.get(), NID_subject_key_identifier, "hash") &&
      X509_sign(cert.get(), key.get(), EVP_sha256()) != 0;
  if (!made) return OpenSslError("make the CA certificate");
  return KeyAndCert{std::move(key), std::move(cert)};
}

}  // namespace

Status CertificateAuthority::Init(const std::string& dir, const InitOptions& options,
                                  const Clock& clock) {
  if (options.days < 1)
    return InvalidArgument(StrCat("--days ", options.days, ": want at least 1"));
  if (options.name.empty() || options.name.size() > 64) {
    return InvalidArgument(StrCat("CA name ", Quoted(options.name), ": want 1 to 64 bytes"));
  }
  VEDETTE_RETURN_IF_ERROR(MakeDirectory(dir));
  VEDETTE_ASSIGN_OR_RETURN(const FileLock lock, FileLock::Take(At(dir, ".lock")));
  for (const std::string_view file : {"ca.key", "ca.crt"}) {
    if (FileStamp(At(dir, file)) != "absent") {
      return AlreadyExists(StrCat("there is a CA already: ", At(dir, file),
                                  ". Its certificates would be worthless with a new one; choose "
                                  "another --dir, or move it away"));
    }
  }
  const int64_t now_ms = clock.NowMs();
  VEDETTE_ASSIGN_OR_RETURN(const KeyAndCert made, MakeCa(options, now_ms));
  const auto& [key, cert] = made;
  VEDETTE_ASSIGN_OR_RETURN(const std::string key_pem, ToPem(key.get()));
  VEDETTE_ASSIGN_OR_RETURN(const std::string cert_pem, ToPem(cert.get()));
  VEDETTE_ASSIGN_OR_RETURN(const std::string crl_pem, SignCrl(cert.get(), key.get(), {}, now_ms));
  VEDETTE_RETURN_IF_ERROR(WriteFile(At(dir, "issued.txt"), "", kPrivate, IfThere::kReplace));
  VEDETTE_RETURN_IF_ERROR(WriteFile(At(dir, "ca.crl"), crl_pem, kPublic, IfThere::kReplace));
  VEDETTE_RETURN_IF_ERROR(WriteFile(At(dir, "ca.key"), key_pem, kPrivate, IfThere::kKeep));
  return WriteFile(At(dir, "ca.crt"), cert_pem, kPublic, IfThere::kKeep);
}

Result<CertificateAuthority> CertificateAuthority::Open(const std::string& dir,
                                                        const Clock& clock) {
  CertificateAuthority ca(dir, clock);
  Result<std::string> cert_pem = ReadFile(At(dir, "ca.crt"));
  if (!cert_pem.ok() && cert_pem.status().code() == StatusCode::kNotFound) {
    return NotFound(StrCat("no CA in ", dir, " (", At(dir, "ca.crt"),
                           " is missing): make one with 'vedettectl ca init --dir ", dir, "'"));
  }
  if (!cert_pem.ok()) return cert_pem.status();
  VEDETTE_ASSIGN_OR_RETURN(ca.key_pem_, ReadFile(At(dir, "ca.key")));
  ca.cert_pem_ = *std::move(cert_pem);
  Result<Identity> identity = ParseIdentity(ca.cert_pem_);
  if (!identity.ok()) return identity.status().Annotate(At(dir, "ca.crt"));
  ca.identity_ = *std::move(identity);
  Result<KeyPtr> key = ParseKey(ca.key_pem_);
  if (!key.ok()) return key.status().Annotate(At(dir, "ca.key"));
  return ca;
}

Result<std::string> CertificateAuthority::SignCsr(std::string_view csr_pem,
                                                  const Request& request) {
  VEDETTE_ASSIGN_OR_RETURN(RequestPtr csr, ParseRequest(csr_pem));
  EVP_PKEY* subject_key = X509_REQ_get0_pubkey(csr.get());
  if (subject_key == nullptr || X509_REQ_verify(csr.get(), subject_key) != 1) {
    ERR_clear_error();
    return InvalidArgument("the signing request is not signed with its own key");
  }
  if (EVP_PKEY_get_security_bits(subject_key) < 112) {
    return InvalidArgument("the key in the signing request is too weak: use ECDSA P-256");
  }
  VEDETTE_ASSIGN_OR_RETURN(std::vector<CertPtr> ca, ParseCertificates(cert_pem_));
  VEDETTE_ASSIGN_OR_RETURN(KeyPtr ca_key, ParseKey(key_pem_));
  VEDETTE_ASSIGN_OR_RETURN(
      CertPtr cert, Sign(ca.front().get(), ca_key.get(), subject_key, request, clock_->NowMs()));
  const Identity identity = IdentityOf(cert.get());
  // Recorded before it is handed out: what exists can be revoked.
  VEDETTE_RETURN_IF_ERROR(
      Append({identity.serial, request.role, request.name, identity.not_after_ms, 0}));
  return ToPem(cert.get());
}

Result<CertificateAuthority::IssuedFiles> CertificateAuthority::Issue(const Request& request,
                                                                      const std::string& out_dir,
                                                                      bool replace) {
  VEDETTE_RETURN_IF_ERROR(CheckName(request.name));
  if (request.name == "ca") return InvalidArgument("the name 'ca' is the CA's own");
  VEDETTE_RETURN_IF_ERROR(MakeDirectory(out_dir));
  IssuedFiles out{.cert_file = At(out_dir, StrCat(request.name, ".crt")),
                  .key_file = At(out_dir, StrCat(request.name, ".key")),
                  .ca_file = At(out_dir, "ca.crt"),
                  .crl_file = At(out_dir, "ca.crl")};
  for (const std::string& path : {out.cert_file, out.key_file}) {
    if (!replace && FileStamp(path) != "absent") {
      return AlreadyExists(StrCat(path, " is there already: use --replace, or another --out"));
    }
  }
  VEDETTE_ASSIGN_OR_RETURN(const KeyAndCsr made, MakeKeyAndCsr(request.name));
  VEDETTE_ASSIGN_OR_RETURN(const std::string cert_pem, SignCsr(made.csr_pem, request));
  VEDETTE_ASSIGN_OR_RETURN(out.identity, ParseIdentity(cert_pem));
  const IfThere if_there = replace ? IfThere::kReplace : IfThere::kKeep;
  VEDETTE_RETURN_IF_ERROR(WriteFile(out.key_file, made.key_pem, kPrivate, if_there));
  VEDETTE_RETURN_IF_ERROR(WriteFile(out.cert_file, cert_pem, kPublic, if_there));
  std::error_code error;
  if (!std::filesystem::equivalent(out_dir, dir_, error)) {
    VEDETTE_ASSIGN_OR_RETURN(const std::string crl_pem, ReadFile(At(dir_, "ca.crl")));
    VEDETTE_RETURN_IF_ERROR(WriteFile(out.ca_file, cert_pem_, kPublic, IfThere::kReplace));
    VEDETTE_RETURN_IF_ERROR(WriteFile(out.crl_file, crl_pem, kPublic, IfThere::kReplace));
  }
  return out;
}

Status CertificateAuthority::Append(const Record& record) {
  VEDETTE_ASSIGN_OR_RETURN(const FileLock lock, FileLock::Take(At(dir_, ".lock")));
  const std::string path = At(dir_, "issued.txt");
  VEDETTE_ASSIGN_OR_RETURN(std::string text, ReadFile(path));
  text += FormatRecord(record);
  return WriteFile(path, text, kPrivate, IfThere::kReplace);
}

Result<std::vector<CertificateAuthority::Record>> CertificateAuthority::List() const {
  const std::string path = At(dir_, "issued.txt");
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  std::vector<Record> out;
  for (const std::string_view line : Split(text, '\n')) {
    if (line.empty()) continue;
    Result<Record> record = ParseRecord(line);
    if (!record.ok()) return record.status().Annotate(StrCat(path, ":", out.size() + 1));
    out.push_back(*std::move(record));
  }
  return out;
}

Result<int> CertificateAuthority::Revoke(std::string_view serial_or_name) {
  VEDETTE_ASSIGN_OR_RETURN(const FileLock lock, FileLock::Take(At(dir_, ".lock")));
  VEDETTE_ASSIGN_OR_RETURN(std::vector<Record> records, List());
  int revoked = 0;
  bool known = false;
  std::string text;
  for (Record& record : records) {
    if (record.serial == serial_or_name || record.name == serial_or_name) {
      known = true;
      if (record.revoked_at_ms == 0) {
        record.revoked_at_ms = clock_->NowMs();
        ++revoked;
      }
    }
    text += FormatRecord(record);
  }
  if (revoked == 0) {
    return NotFound(StrCat(Quoted(serial_or_name),
                           known ? " is revoked already"
                                 : " is neither a serial nor a name of this CA; see 'ca list'"));
  }
  VEDETTE_ASSIGN_OR_RETURN(const std::string crl_pem,
                           SignCrls(dir_, cert_pem_, records, clock_->NowMs()));
  // The record first: a list can be made again from it.
  VEDETTE_RETURN_IF_ERROR(WriteFile(At(dir_, "issued.txt"), text, kPrivate, IfThere::kReplace));
  VEDETTE_RETURN_IF_ERROR(WriteFile(At(dir_, "ca.crl"), crl_pem, kPublic, IfThere::kReplace));
  return revoked;
}

Status CertificateAuthority::Rotate(const std::string& dir, RotateStep step,
                                    const InitOptions& options, bool force, const Clock& clock) {
  VEDETTE_ASSIGN_OR_RETURN(CertificateAuthority ca, Open(dir, clock));
  VEDETTE_ASSIGN_OR_RETURN(const FileLock lock, FileLock::Take(At(dir, ".lock")));
  VEDETTE_ASSIGN_OR_RETURN(std::vector<CertPtr> certs, ParseCertificates(ca.cert_pem_));
  VEDETTE_ASSIGN_OR_RETURN(const std::vector<Record> records, ca.List());
  const bool prepared = FileStamp(At(dir, "ca-next.key")) != "absent";
  const bool switched = FileStamp(At(dir, "ca-old.key")) != "absent";
  const int64_t now_ms = clock.NowMs();
  const auto publish = [&](const std::string& bundle) -> Status {
    VEDETTE_ASSIGN_OR_RETURN(const std::string crls, SignCrls(dir, bundle, records, now_ms));
    // The list first: one that names a CA which nobody knows yet harms nobody.
    VEDETTE_RETURN_IF_ERROR(WriteFile(At(dir, "ca.crl"), crls, kPublic, IfThere::kReplace));
    return WriteFile(At(dir, "ca.crt"), bundle, kPublic, IfThere::kReplace);
  };
  const auto pem_of = [](const CertPtr& cert) { return ToPem(cert.get()); };

  if (step == RotateStep::kPrepare) {
    if (switched) {
      return FailedPrecondition("a rotation is under way: end it with --step finish first");
    }
    VEDETTE_ASSIGN_OR_RETURN(std::string bundle, pem_of(certs.front()));
    if (!prepared) {
      // Two CAs of one name could not be told apart by the lists of what they revoked.
      InitOptions next = options;
      if (ca.identity_.issuer == StrCat("CN=", next.name)) StrAppend(next.name, " ", now_ms / 1000);
      VEDETTE_ASSIGN_OR_RETURN(const KeyAndCert made, MakeCa(next, now_ms));
      VEDETTE_ASSIGN_OR_RETURN(const std::string key_pem, ToPem(made.key.get()));
      VEDETTE_ASSIGN_OR_RETURN(const std::string cert_pem, ToPem(made.cert.get()));
      VEDETTE_RETURN_IF_ERROR(
          WriteFile(At(dir, "ca-next.crt"), cert_pem, kPublic, IfThere::kReplace));
      VEDETTE_RETURN_IF_ERROR(
          WriteFile(At(dir, "ca-next.key"), key_pem, kPrivate, IfThere::kReplace));
    }
    VEDETTE_ASSIGN_OR_RETURN(const std::string next, ReadFile(At(dir, "ca-next.crt")));
    return publish(bundle + next);
  }
  if (step == RotateStep::kSwitch) {
    if (!prepared || certs.size() < 2) {
      return FailedPrecondition("nothing is prepared: --step prepare comes first");
    }
    VEDETTE_ASSIGN_OR_RETURN(const std::string next_key, ReadFile(At(dir, "ca-next.key")));
    VEDETTE_ASSIGN_OR_RETURN(const std::string next, ReadFile(At(dir, "ca-next.crt")));
    VEDETTE_ASSIGN_OR_RETURN(const std::string old, pem_of(certs.front()));
    VEDETTE_RETURN_IF_ERROR(
        WriteFile(At(dir, "ca-old.key"), ca.key_pem_, kPrivate, IfThere::kReplace));
    VEDETTE_RETURN_IF_ERROR(
        WriteFile(At(dir, "ca-old.issued"), StrCat(records.size()), kPrivate, IfThere::kReplace));
    VEDETTE_RETURN_IF_ERROR(publish(next + old));
    VEDETTE_RETURN_IF_ERROR(WriteFile(At(dir, "ca.key"), next_key, kPrivate, IfThere::kReplace));
    std::error_code none;
    std::filesystem::remove(At(dir, "ca-next.key"), none);
    std::filesystem::remove(At(dir, "ca-next.crt"), none);
    return {};
  }
  if (!switched)
    return FailedPrecondition("the new CA does not sign yet: --step switch comes first");
  // What was issued before the switch is the old one's, and no matter once its name has another.
  VEDETTE_ASSIGN_OR_RETURN(const std::string count, ReadFile(At(dir, "ca-old.issued")));
  size_t before = 0;
  std::from_chars(count.data(), count.data() + count.size(), before);
  before = std::min(before, records.size());
  int held = 0;
  for (size_t i = 0; i < before; ++i) {
    const Record& r = records[i];
    if (r.revoked_at_ms != 0 || r.not_after_ms <= now_ms) continue;
    const bool renewed = std::any_of(
        records.begin() + static_cast<int64_t>(before), records.end(), [&](const Record& later) {
          return later.name == r.name && later.role == r.role && later.revoked_at_ms == 0;
        });
    if (!renewed) ++held;
  }
  if (held > 0 && !force) {
    return FailedPrecondition(StrCat(held,
                                     " certificates of the old CA still hold and would be refused; "
                                     "wait until they are renewed (ca list), or use --force"));
  }
  VEDETTE_ASSIGN_OR_RETURN(const std::string bundle, pem_of(certs.front()));
  VEDETTE_RETURN_IF_ERROR(publish(bundle));
  std::error_code none;
  std::filesystem::remove(At(dir, "ca-old.key"), none);
  std::filesystem::remove(At(dir, "ca-old.issued"), none);
  return {};
}

Result<std::string> CertificateAuthority::Fingerprint() const {
  return CertificateFingerprint(cert_pem_);
}

Result<std::string> CertificateFingerprint(std::string_view pem) {
  VEDETTE_ASSIGN_OR_RETURN(std::vector<CertPtr> certs, ParseCertificates(pem));
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  if (X509_digest(certs.front().get(), EVP_sha256(), digest.data(), &size) != 1) {
    return OpenSslError("hash the certificate");
  }
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  for (unsigned i = 0; i < size; ++i) {
    out.push_back(kHex[digest[i] >> 4]);
    out.push_back(kHex[digest[i] & 15]);
  }
  return out;
}

Result<KeyAndCsr> MakeKeyAndCsr(std::string_view name) {
  VEDETTE_RETURN_IF_ERROR(CheckName(name));
  VEDETTE_ASSIGN_OR_RETURN(KeyPtr key, NewKey());
  RequestPtr csr(X509_REQ_new());
  if (csr == nullptr || X509_REQ_set_version(csr.get(), X509_REQ_VERSION_1) != 1 ||
      !SetCommonName(X509_REQ_get_subject_name(csr.get()), name) ||
      X509_REQ_set_pubkey(csr.get(), key.get()) != 1 ||
      X509_REQ_sign(csr.get(), key.get(), EVP_sha256()) == 0) {
    return OpenSslError("make a signing request");
  }
  KeyAndCsr out;
  VEDETTE_ASSIGN_OR_RETURN(out.key_pem, ToPem(key.get()));
  VEDETTE_ASSIGN_OR_RETURN(out.csr_pem, ToPem(csr.get()));
  return out;
}

}  // namespace vedette::tls
