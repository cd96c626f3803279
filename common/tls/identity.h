#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace vedette::tls {

// What the holder of a certificate may do. Fixed when the certificate is signed.
enum class Role : uint8_t {
  kNone = 0,  // A certificate that names no role: foreign, or not ours.
  kServer,    // Scrapes agents.
  kAgent,     // Answers for one node.
  kOperator,  // A person or program that may change things.
  kViewer,    // A person or program that may look.
};

std::string_view RoleName(Role role);
// InvalidArgument for anything but server, agent, operator and viewer.
Result<Role> ParseRole(std::string_view text);

// Who is at the other end, as its certificate says. Role and name stand in one URI SAN,
// spiffe://vedette/role/ROLE/name/NAME (docs/security.md); another CA may use a trust domain of its
// own in place of `vedette`. A certificate without that URI has role kNone and its common name.
struct Identity {
  std::string name;
  Role role = Role::kNone;
  std::string serial;  // Lower-case hexadecimal.
  std::string issuer;  // One line, as openssl prints it: CN=vedette CA.
  int64_t not_before_ms = 0;
  int64_t not_after_ms = 0;
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;

  // Whether `host` (a DNS name or an IP address, without port) is one of the names this certificate
  // speaks for: its SANs (a leading *. matches one label) or the name in the role URI.
  bool SpeaksFor(std::string_view host) const;
};

// "agent db1 (serial 3f…, issued by CN=…)", for a log line.
std::string Describe(const Identity& identity);

// spiffe://vedette/role/ROLE/name/NAME.
std::string RoleUri(Role role, std::string_view name);

// Names are 1 to 63 of [A-Za-z0-9._-] and begin with a letter or digit, so that one can stand in a
// file name, a URI and a DNS name.
Status CheckName(std::string_view name);

// The identity in the first certificate of `pem`. Verifies nothing: TrustStore does.
Result<Identity> ParseIdentity(std::string_view pem);

}  // namespace vedette::tls
