#pragma once

struct sockaddr;

namespace vedette {

// Whether an address is one where clouds answer with a machine's own keys: 169.254.0.0/16,
// fe80::/10 and EC2's fd00:ec2::/32, the first also written as IPv4 in IPv6. Who is led to one by
// somebody else's word does not go there.
bool IsLinkLocal(const sockaddr* address);

}  // namespace vedette
