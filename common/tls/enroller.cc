#include "common/tls/enroller.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <vector>

#include "common/base/strings.h"
#include "common/tls/ca.h"
#include "common/tls/files.h"

namespace vedette::tls {
namespace {

constexpr int64_t kRepeatMs = 10 * 60 * 1000;
constexpr size_t kMaxAnswered = 256;
constexpr int64_t kBackdateMs = 65 * 60 * 1000;  // As CertificateAuthority dates certificates back.
constexpr size_t kMaxSans = 64;

// The address in network order, so that two ways to write one address are equal; empty if it is
// none.
std::string AddressBytes(std::string_view text) {
  if (text.starts_with("ip:")) text.remove_prefix(3);
  const std::string host(text);
  std::array<char, 16> bytes;
  if (inet_pton(AF_INET, host.c_str(), bytes.data()) == 1) return {bytes.data(), 4};
  if (inet_pton(AF_INET6, host.c_str(), bytes.data()) != 1) return {};
  // An IPv4 caller on a socket for both.
  constexpr std::string_view kMapped("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
  if (std::string_view(bytes.data(), 12) == kMapped) return {bytes.data() + 12, 4};
  return {bytes.data(), 16};
}

bool SameSan(std::string_view a, std::string_view b) {
  const std::string address = AddressBytes(a);
  if (!address.empty()) return address == AddressBytes(b);
  if (a.starts_with("dns:")) a.remove_prefix(4);
  if (b.starts_with("dns:")) b.remove_prefix(4);
  return a == b;
}

Status CheckSans(const JoinRequest& request, const TokenGrant& grant, std::string_view peer) {
  for (const std::string& san : request.sans) {
    const auto same = [&](std::string_view other) { return SameSan(san, other); };
    if (same(request.name) || same(peer) || std::ranges::any_of(grant.sans, same)) continue;
    return PermissionDenied(StrCat("SAN ", Quoted(san), " is neither the address that ",
                                   request.name, " calls from (", peer,
                                   ") nor in its join token: make the token with --san ", san));
  }
  return {};
}

Status CheckFreeName(const CertificateAuthority& ca, std::string_view name, int64_t now_ms) {
  if (name.find('.') != std::string_view::npos) {
    return PermissionDenied(StrCat("the name ", Quoted(name),
                                   " has a dot, hence may be somebody's host name or address: "
                                   "make the join token with --name ",
                                   name));
  }
  VEDETTE_ASSIGN_OR_RETURN(const auto records, ca.List());
  for (const CertificateAuthority::Record& record : records) {
    if (record.name != name || record.revoked_at_ms != 0 || record.not_after_ms <= now_ms) continue;
    return PermissionDenied(StrCat("the name ", Quoted(name), " is taken by certificate ",
                                   record.serial,
                                   ": revoke that one, or make the join token with "
                                   "--name ",
                                   name));
  }
  return {};
}

Status CheckShape(const JoinRequest& request) {
  VEDETTE_RETURN_IF_ERROR(CheckName(request.name));
  if (request.name == "ca") return InvalidArgument("the name 'ca' is the CA's own");
  if (request.nonce.size() != kNonceBytes) {
    return InvalidArgument(
        StrCat("the nonce has ", request.nonce.size(), " bytes, not ", kNonceBytes));
  }
  if (request.csr_pem.size() > kMaxCsrBytes) {
    return InvalidArgument(StrCat("the signing request has ", request.csr_pem.size(),
                                  " bytes; at most ", kMaxCsrBytes));
  }
  if (request.sans.size() > kMaxSans) {
    return InvalidArgument(StrCat(request.sans.size(), " SANs; at most ", kMaxSans));
  }
  return {};
}

}  // namespace

Enroller::Enroller(std::string ca_dir, const Clock& clock)
    : ca_dir_(std::move(ca_dir)), clock_(clock), tokens_(ca_dir_, clock) {}

Result<JoinAnswer> Enroller::Join(const JoinRequest& request, std::string_view peer_address,
                                  std::string_view server_name) {
  VEDETTE_RETURN_IF_ERROR(CheckShape(request));
  const int64_t now_ms = clock_.NowMs();
  {
    MutexLock lock(mu_);
    while (!answered_.empty() &&
           (answered_.front().at_ms + kRepeatMs < now_ms || answered_.size() > kMaxAnswered)) {
      answered_.pop_front();
    }
    for (const Answered& a : answered_) {
      if (SameBytes(a.request_proof, request.proof)) return a.answer;
    }
  }
  JoinAnswer answer;
  answer.server_name = server_name;
  VEDETTE_RETURN_IF_ERROR(
      tokens_.Redeem(request.token_id, request.name, [&](const TokenStore::Token& token) -> Status {
        VEDETTE_ASSIGN_OR_RETURN(const std::string want, RequestProof(token.secret, request));
        if (!SameBytes(want, request.proof)) {
          return Unauthenticated(
              "the request does not prove knowledge of its join token, or was changed on its way");
        }
        const TokenGrant& grant = token.grant;
        if (!grant.name.empty() && grant.name != request.name) {
          return PermissionDenied(StrCat("join token ", token.id, " is for ", Quoted(grant.name),
                                         ", not for ", Quoted(request.name)));
        }
        VEDETTE_ASSIGN_OR_RETURN(CertificateAuthority ca,
                                 CertificateAuthority::Open(ca_dir_, clock_));
        if (grant.name.empty()) {
          VEDETTE_RETURN_IF_ERROR(CheckFreeName(ca, request.name, now_ms));
        }
        VEDETTE_RETURN_IF_ERROR(CheckSans(request, grant, peer_address));
        VEDETTE_ASSIGN_OR_RETURN(answer.crl_pem, ReadFile(StrCat(ca_dir_, "/ca.crl")));
        VEDETTE_ASSIGN_OR_RETURN(
            answer.cert_pem,
            ca.SignCsr(request.csr_pem, {.role = grant.role,
                                         .name = request.name,
                                         .sans = request.sans,
                                         .lifetime_ms = grant.certificate_lifetime_ms}));
        answer.ca_pem = ca.cert_pem();
        VEDETTE_ASSIGN_OR_RETURN(answer.proof, AnswerProof(token.secret, request, answer));
        return {};
      }));
  MutexLock lock(mu_);
  answered_.push_back({request.proof, now_ms, answer});
  return answer;
}

Result<Enroller::Renewal> Enroller::Renew(std::string_view csr_pem, const Identity& peer) {
  if (csr_pem.size() > kMaxCsrBytes) {
    return InvalidArgument(
        StrCat("the signing request has ", csr_pem.size(), " bytes; at most ", kMaxCsrBytes));
  }
  VEDETTE_ASSIGN_OR_RETURN(CertificateAuthority ca, CertificateAuthority::Open(ca_dir_, clock_));
  VEDETTE_ASSIGN_OR_RETURN(const auto records, ca.List());
  const auto mine = std::ranges::find(records, peer.serial, &CertificateAuthority::Record::serial);
  if (mine == records.end() || mine->role != peer.role || mine->name != peer.name) {
    return PermissionDenied(StrCat(
        "only this CA's own certificates are renewed, and it did not issue ", Describe(peer)));
  }
  if (mine->revoked_at_ms != 0) {
    return PermissionDenied(StrCat("certificate is revoked: ", Describe(peer)));
  }
  CertificateAuthority::Request request{.role = peer.role, .name = peer.name};
  for (const std::string& name : peer.dns_names) {
    if (name != peer.name) request.sans.push_back(StrCat("dns:", name));
  }
  for (const std::string& address : peer.ip_addresses) {
    request.sans.push_back(StrCat("ip:", address));
  }
  request.lifetime_ms = peer.not_after_ms - peer.not_before_ms - kBackdateMs;
  Renewal out;
  VEDETTE_ASSIGN_OR_RETURN(out.crl_pem, ReadFile(StrCat(ca_dir_, "/ca.crl")));
  VEDETTE_ASSIGN_OR_RETURN(out.cert_pem, ca.SignCsr(csr_pem, request));
  out.ca_pem = ca.cert_pem();
  return out;
}

}  // namespace vedette::tls
