#pragma once

#include <string>

struct sockaddr;

namespace vedette {

// Whom a connection's address belongs to, for limits: of IPv4 the address itself, "192.0.2.7", also
// where it is written as IPv6; of IPv6 the half that a provider gives out, "2001:db8:1:2::/64", as
// whoever has one address of it has all. Without the port. "" for anything else.
std::string PeerNetwork(const sockaddr* address);

}  // namespace vedette
