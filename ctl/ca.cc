#include "ctl/ca.h"

#include <cmath>
#include <ostream>

#include "common/base/strings.h"
#include "common/tls/ca.h"

namespace vedette::ctl {
namespace {
constexpr double kDayMs = 86'400'000;
}

Status CaInit::Run(const Clock& clock, std::ostream& out) const {
  VEDETTE_RETURN_IF_ERROR(
      tls::CertificateAuthority::Init(dir, {.name = name, .days = days}, clock));
  VEDETTE_ASSIGN_OR_RETURN(const tls::CertificateAuthority ca,
                           tls::CertificateAuthority::Open(dir, clock));
  VEDETTE_ASSIGN_OR_RETURN(const std::string fingerprint, ca.Fingerprint());
  out << "made " << dir << "/ca.crt, valid until " << FormatTime(ca.identity().not_after_ms)
      << "\nsha256 " << fingerprint << "\nkeep " << dir << "/ca.key on this machine\n";
  return {};
}

Status CaIssue::Run(const Clock& clock, std::ostream& out) const {
  VEDETTE_ASSIGN_OR_RETURN(const tls::Role parsed, tls::ParseRole(role));
  constexpr double kMostDays = 36'500;
  if (!std::isfinite(days) || std::abs(days) > kMostDays) {
    return InvalidArgument(StrCat("--days ", days, ": at most ", kMostDays));
  }
  VEDETTE_ASSIGN_OR_RETURN(tls::CertificateAuthority ca,
                           tls::CertificateAuthority::Open(dir, clock));
  VEDETTE_ASSIGN_OR_RETURN(const tls::CertificateAuthority::IssuedFiles files,
                           ca.Issue({.role = parsed,
                                     .name = name,
                                     .sans = sans,
                                     .lifetime_ms = static_cast<int64_t>(days * kDayMs)},
                                    out_dir.empty() ? dir : out_dir, replace));
  out << "made " << files.cert_file << " and " << files.key_file << "\n"
      << tls::Describe(files.identity) << ", valid until "
      << FormatTime(files.identity.not_after_ms) << "\n";
  return {};
}

Status CaList::Run(const Clock& clock, std::ostream& out) const {
  VEDETTE_ASSIGN_OR_RETURN(const tls::CertificateAuthority ca,
                           tls::CertificateAuthority::Open(dir, clock));
  VEDETTE_ASSIGN_OR_RETURN(const auto records, ca.List());
  Table table{{"serial", "role", "name", "not_after", "state"}, {}};
  const int64_t now_ms = clock.NowMs();
  for (const auto& record : records) {
    const std::string state = record.revoked_at_ms != 0
                                  ? StrCat("revoked at ", FormatTime(record.revoked_at_ms))
                              : record.not_after_ms < now_ms ? "expired"
                                                             : "valid";
    table.rows.push_back({record.serial, std::string(tls::RoleName(record.role)), record.name,
                          FormatTime(record.not_after_ms), state});
  }
  table.Print(format, out);
  return {};
}

Status CaRevoke::Run(const Clock& clock, std::ostream& out) const {
  VEDETTE_ASSIGN_OR_RETURN(tls::CertificateAuthority ca,
                           tls::CertificateAuthority::Open(dir, clock));
  VEDETTE_ASSIGN_OR_RETURN(const int revoked, ca.Revoke(serial_or_name));
  out << "revoked " << revoked << (revoked == 1 ? " certificate" : " certificates") << "; copy "
      << dir << "/ca.crl to where certificates are checked\n";
  return {};
}

Status CaRotate::Run(const Clock& clock, std::ostream& out) const {
  using Step = tls::CertificateAuthority::RotateStep;
  const Step parsed = step == "prepare"  ? Step::kPrepare
                      : step == "switch" ? Step::kSwitch
                                         : Step::kFinish;
  VEDETTE_RETURN_IF_ERROR(
      tls::CertificateAuthority::Rotate(dir, parsed, {.name = name, .days = days}, force, clock));
  switch (parsed) {
    case Step::kPrepare:
      out << dir << "/ca.crt holds the old CA, which still signs, and a new one\n"
          << "next: let ca.crt and ca.crl reach every node (a renewal brings them), then "
             "--step switch\n";
      break;
    case Step::kSwitch:
      out << "the new CA signs from now on; both are believed\n"
          << "next: renew or issue every certificate again, then --step finish\n";
      break;
    case Step::kFinish:
      out << "the old CA is gone from " << dir << "/ca.crt; let that file reach every node\n";
      break;
  }
  return {};
}

}  // namespace vedette::ctl
