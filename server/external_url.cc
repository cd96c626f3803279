#include "server/external_url.h"

#include <unistd.h>

#include "common/base/strings.h"

namespace vedette {

std::string Hostname() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "localhost";
}

ExternalUrl ExternalUrlOf(const ServerOptions& options) {
  ExternalUrl out;
  out.whole = options.web_external_url;
  if (out.whole.empty()) {
    const std::string& listen = options.web_listen.front();
    out.whole = StrCat("http://", Hostname(), listen.substr(listen.rfind(':')));
  }
  while (out.whole.ends_with('/')) out.whole.pop_back();
  const size_t host = out.whole.find("://");
  const size_t slash = out.whole.find('/', host == std::string::npos ? 0 : host + 3);
  if (slash != std::string::npos) out.path = out.whole.substr(slash);
  return out;
}

std::string PrefixOf(const ServerOptions& options, const ExternalUrl& external) {
  if (options.web_route_prefix.empty()) return external.path;
  std::string prefix = options.web_route_prefix;
  while (prefix.ends_with('/')) prefix.pop_back();
  if (!prefix.empty() && !prefix.starts_with('/')) prefix.insert(0, "/");
  return prefix;
}

}  // namespace vedette
