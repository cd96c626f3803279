#include "common/tls/node_files.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <vector>

#include "common/base/strings.h"
#include "common/tls/files.h"
#include "common/tls/openssl.h"

namespace vedette::tls {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kPublic = 0644;
constexpr unsigned kPrivate = 0600;

Status CheckPair(std::string_view cert_pem, std::string_view key_pem) {
  VEDETTE_ASSIGN_OR_RETURN(const std::vector<CertPtr> certs, ParseCertificates(cert_pem));
  VEDETTE_ASSIGN_OR_RETURN(const KeyPtr key, ParseKey(key_pem));
  if (X509_check_private_key(certs.front().get(), key.get()) == 1) return {};
  ERR_clear_error();
  return Unauthenticated("the certificate is for another key than ours");
}

Status CheckSigned(std::string_view cert_pem, std::string_view ca_pem) {
  VEDETTE_ASSIGN_OR_RETURN(const std::vector<CertPtr> certs, ParseCertificates(cert_pem));
  VEDETTE_ASSIGN_OR_RETURN(const std::vector<CertPtr> cas, ParseCertificates(ca_pem));
  for (const CertPtr& ca : cas) {
    EVP_PKEY* key = X509_get0_pubkey(ca.get());
    if (key != nullptr && X509_verify(certs.front().get(), key) == 1) return {};
  }
  ERR_clear_error();
  return Unauthenticated("the certificate is not signed by the CA that came with it");
}

Status Move(const std::string& from, const std::string& to) {
  if (std::rename(from.c_str(), to.c_str()) == 0) return {};
  return Unavailable(StrCat("rename ", from, " to ", to, ": ", std::strerror(errno)));
}

// An unchanged file is left alone: who watches it need not read it again.
Status WriteIfOther(const std::string& path, std::string_view bytes) {
  const Result<std::string> there = ReadFile(path);
  if (there.ok() && *there == bytes) return {};
  return WriteFile(path, bytes, kPublic, IfThere::kReplace);
}

}  // namespace

CertificateFiles NodeFiles::paths() const {
  return {.ca_file = StrCat(dir, "/ca.crt"),
          .crl_file = StrCat(dir, "/ca.crl"),
          .cert_file = StrCat(dir, "/", name, ".crt"),
          .key_file = StrCat(dir, "/", name, ".key")};
}

Status NodeFiles::Finish() const {
  const CertificateFiles files = paths();
  const std::string new_cert = StrCat(files.cert_file, ".new");
  const std::string new_key = StrCat(files.key_file, ".new");
  const Result<std::string> cert_pem = ReadFile(new_cert);
  const Result<std::string> key_pem = ReadFile(files.key_file);
  if (cert_pem.ok() && key_pem.ok() && CheckPair(*cert_pem, *key_pem).ok()) {
    return Move(new_cert, files.cert_file);
  }
  // Cut short before the key was moved: what is in place is whole.
  ::unlink(new_cert.c_str());
  ::unlink(new_key.c_str());
  return {};
}

Status NodeFiles::Store(std::string_view key_pem, std::string_view cert_pem,
                        std::string_view ca_pem, std::string_view crl_pem) const {
  VEDETTE_RETURN_IF_ERROR(CheckPair(cert_pem, key_pem));
  VEDETTE_RETURN_IF_ERROR(CheckSigned(cert_pem, ca_pem));
  std::error_code error;
  if (fs::create_directories(dir, error)) {
    fs::permissions(dir, fs::perms::owner_all, error);
  }
  if (error) return Unavailable(StrCat("create directory ", dir, ": ", error.message()));
  const CertificateFiles files = paths();
  const std::string new_cert = StrCat(files.cert_file, ".new");
  const std::string new_key = StrCat(files.key_file, ".new");
  VEDETTE_RETURN_IF_ERROR(WriteIfOther(files.ca_file, ca_pem));
  VEDETTE_RETURN_IF_ERROR(WriteIfOther(files.crl_file, crl_pem));
  VEDETTE_RETURN_IF_ERROR(WriteFile(new_key, key_pem, kPrivate, IfThere::kReplace));
  VEDETTE_RETURN_IF_ERROR(WriteFile(new_cert, cert_pem, kPublic, IfThere::kReplace));
  VEDETTE_RETURN_IF_ERROR(Move(new_key, files.key_file));
  return Move(new_cert, files.cert_file);
}

Status WriteJoinRecord(const std::string& dir, const JoinRecord& record) {
  return WriteFile(StrCat(dir, "/join.txt"),
                   StrCat("server ", record.server, "\nserver_name ", record.server_name, "\nname ",
                          record.name, "\n"),
                   kPublic, IfThere::kReplace);
}

Result<JoinRecord> ReadJoinRecord(const std::string& dir) {
  const std::string path = StrCat(dir, "/join.txt");
  VEDETTE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  JoinRecord out;
  for (const std::string_view line : Split(text, '\n')) {
    const size_t space = line.find(' ');
    const std::string_view key = line.substr(0, space);
    const std::string_view value =
        space == std::string_view::npos ? std::string_view() : line.substr(space + 1);
    if (key == "server") out.server = value;
    if (key == "server_name") out.server_name = value;
    if (key == "name") out.name = value;
  }
  if (out.server.empty()) return DataLoss(StrCat(path, ": no server in it"));
  if (Status name = CheckName(out.name); !name.ok()) return name.Annotate(path);
  return out;
}

int64_t RenewAtMs(const Identity& identity) {
  return identity.not_before_ms + (identity.not_after_ms - identity.not_before_ms) / 3 * 2;
}

}  // namespace vedette::tls
