#pragma once

#include <string>

#include "server/options.h"

namespace vedette {

std::string Hostname();  // "localhost" where the machine has no name.

// The scheme, host and path under which people reach the server, without a slash at the end.
struct ExternalUrl {
  std::string whole;
  std::string path;
};

// --web.external-url; without it this machine's name and the first port that is listened on.
ExternalUrl ExternalUrlOf(const ServerOptions& options);
// What every path of the server begins with: --web.route-prefix, or else the external URL's path.
// "" or "/like/this".
std::string PrefixOf(const ServerOptions& options, const ExternalUrl& external);

}  // namespace vedette
