#include "common/tls/identity.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "common/base/strings.h"
#include "common/tls/openssl.h"

namespace vedette::tls {
namespace {

struct NamedRole {
  Role role;
  std::string_view name;
};
constexpr std::array<NamedRole, 4> kRoles = {{{Role::kServer, "server"},
                                              {Role::kAgent, "agent"},
                                              {Role::kOperator, "operator"},
                                              {Role::kViewer, "viewer"}}};

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool SameName(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, Lower, Lower);
}

// RFC 6125: a wildcard is the whole first label and stands for exactly one.
bool MatchesDns(std::string_view pattern, std::string_view host) {
  if (!pattern.starts_with("*.")) return SameName(pattern, host);
  const size_t dot = host.find('.');
  return dot != std::string_view::npos && dot > 0 && SameName(pattern.substr(1), host.substr(dot));
}

// The address in its one canonical spelling; empty if it is none.
std::string CanonicalIp(std::string_view text) {
  const std::string host(text);
  std::array<unsigned char, 16> bytes;
  std::array<char, INET6_ADDRSTRLEN> out;
  for (const int family : {AF_INET, AF_INET6}) {
    if (inet_pton(family, host.c_str(), bytes.data()) == 1 &&
        inet_ntop(family, bytes.data(), out.data(), out.size()) != nullptr) {
      return out.data();
    }
  }
  return {};
}

}  // namespace

std::string_view RoleName(Role role) {
  for (const NamedRole& r : kRoles) {
    if (r.role == role) return r.name;
  }
  return "none";
}

Result<Role> ParseRole(std::string_view text) {
  for (const NamedRole& r : kRoles) {
    if (r.name == text) return r.role;
  }
  return InvalidArgument(
      StrCat("unknown role ", Quoted(text), ": want server, agent, operator or viewer"));
}

bool Identity::SpeaksFor(std::string_view host) const {
  if (const std::string ip = CanonicalIp(host); !ip.empty()) {
    return std::ranges::find(ip_addresses, ip) != ip_addresses.end();
  }
  if (host.empty()) return false;
  if (role != Role::kNone && SameName(name, host)) return true;
  return std::ranges::any_of(dns_names,
                             [&](const std::string& pattern) { return MatchesDns(pattern, host); });
}

std::string Describe(const Identity& identity) {
  return StrCat(identity.role == Role::kNone ? "certificate" : RoleName(identity.role), " ",
                Quoted(identity.name), " (serial ", identity.serial, ", issued by ",
                identity.issuer, ")");
}

std::string RoleUri(Role role, std::string_view name) {
  return StrCat("spiffe://vedette/role/", RoleName(role), "/name/", name);
}

Status CheckName(std::string_view name) {
  constexpr size_t kMaxName = 63;  // A DNS label, and the common name's limit of 64.
  const auto plain = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  const bool fits = !name.empty() && name.size() <= kMaxName && plain(name.front()) &&
                    std::ranges::all_of(
                        name, [&](char c) { return plain(c) || c == '.' || c == '_' || c == '-'; });
  if (fits) return {};
  return InvalidArgument(StrCat("name ", Quoted(name), ": want 1 to ", kMaxName,
                                " letters, digits, '.', '_' or '-', a letter or digit first"));
}

Result<Identity> ParseIdentity(std::string_view pem) {
  VEDETTE_ASSIGN_OR_RETURN(std::vector<CertPtr> certs, ParseCertificates(pem));
  return IdentityOf(certs.front().get());
}

}  // namespace vedette::tls
