#include "ctl/token.h"

#include <cmath>
#include <ostream>

#include "common/base/strings.h"
#include "common/model/duration.h"
#include "common/tls/ca.h"
#include "common/tls/identity.h"
#include "common/tls/join_token.h"
#include "common/tls/token_store.h"
#include "ctl/secret_file.h"

namespace vedette::ctl {
namespace {

constexpr double kDayMs = 86'400'000;
constexpr double kMostDays = 3'650;

Result<tls::TokenGrant> Grant(const TokenFlags& flags) {
  tls::TokenGrant out{.name = flags.name, .sans = flags.sans, .uses = flags.uses};
  VEDETTE_ASSIGN_OR_RETURN(out.role, tls::ParseRole(flags.role));
  const Result<int64_t> ttl_ms = ParseDuration(flags.ttl);
  if (!ttl_ms.ok()) return ttl_ms.status().Annotate("--ttl");
  out.ttl_ms = *ttl_ms;
  if (!std::isfinite(flags.days) || flags.days <= 0 || flags.days > kMostDays) {
    return InvalidArgument(
        StrCat("--days ", flags.days, ": want more than 0, at most ", kMostDays));
  }
  out.certificate_lifetime_ms = static_cast<int64_t>(flags.days * kDayMs);
  return out;
}

}  // namespace

Status TokenCreate::Run(const Clock& clock, std::ostream& out, std::ostream& notes) const {
  VEDETTE_ASSIGN_OR_RETURN(const tls::TokenGrant grant, Grant(flags));
  VEDETTE_ASSIGN_OR_RETURN(const tls::CertificateAuthority ca,
                           tls::CertificateAuthority::Open(flags.dir, clock));
  tls::JoinToken token;
  VEDETTE_ASSIGN_OR_RETURN(token.ca_fingerprint, ca.Fingerprint());
  VEDETTE_ASSIGN_OR_RETURN(token.secret, tls::TokenStore(flags.dir, clock).Create(grant));
  out << tls::FormatJoinToken(token) << "\n";
  VEDETTE_ASSIGN_OR_RETURN(const std::string id, tls::TokenId(token.secret));
  notes << "join token " << id << ": role " << flags.role << ", "
        << (flags.name.empty() ? "any free name" : StrCat("name ", flags.name)) << ", "
        << (flags.uses == 1 ? "once" : StrCat(flags.uses, " times")) << ", until "
        << FormatTime(clock.NowMs() + grant.ttl_ms) << "\n";
  return {};
}

Status TokenAdd::Run(const Clock& clock, std::ostream& out) const {
  VEDETTE_ASSIGN_OR_RETURN(const tls::TokenGrant grant, Grant(flags));
  VEDETTE_ASSIGN_OR_RETURN(const tls::JoinToken token, ReadTokenFile(secret_file));
  const Status added = tls::TokenStore(flags.dir, clock).Add(token.secret, grant);
  if (added.code() == StatusCode::kAlreadyExists) {
    out << added.message() << "; left as it is\n";
    return {};
  }
  VEDETTE_RETURN_IF_ERROR(added);
  VEDETTE_ASSIGN_OR_RETURN(const std::string id, tls::TokenId(token.secret));
  out << "added join token " << id << ", until " << FormatTime(clock.NowMs() + grant.ttl_ms)
      << "\n";
  return {};
}

Status TokenList::Run(const Clock& clock, std::ostream& out) const {
  VEDETTE_ASSIGN_OR_RETURN(const auto tokens, tls::TokenStore(dir, clock).List());
  Table table{{"id", "role", "name", "uses_left", "until", "state"}, {}};
  for (const tls::TokenStore::Token& t : tokens) {
    const std::string state = t.ended_at_ms == 0 ? "waiting"
                              : t.grant.uses > 0 ? "expired"
                                                 : StrCat("used by ", t.used_by);
    table.rows.push_back({t.id, std::string(tls::RoleName(t.grant.role)),
                          t.grant.name.empty() ? "(any free)" : t.grant.name, StrCat(t.grant.uses),
                          FormatTime(t.expires_at_ms), state});
  }
  table.Print(format, out);
  return {};
}

Status TokenRemove::Run(const Clock& clock, std::ostream& out) const {
  VEDETTE_RETURN_IF_ERROR(tls::TokenStore(dir, clock).Remove(id));
  out << "removed join token " << id << "\n";
  return {};
}

}  // namespace vedette::ctl
