#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/base/status.h"
#include "common/tls/identity.h"

namespace vedette::rpc {

// Which roles may call what. `method` is "/package.Service/Method", or "/package.Service/" for all
// methods of a service that have no line of their own. What no line names is refused.
struct MethodRule {
  std::string method;
  std::vector<tls::Role> roles;
};

// The table of MethodRules, looked up once a call. Health and reflection are open to every role
// unless the table says otherwise. Immutable, hence thread-safe.
class Authorizer {
 public:
  explicit Authorizer(const std::vector<MethodRule>& rules);

  // PERMISSION_DENIED, with who, what and which roles would do.
  Status Check(std::string_view method, const tls::Identity& peer) const;

 private:
  const std::vector<tls::Role>* Find(std::string_view method) const;
  std::unordered_map<std::string, std::vector<tls::Role>> rules_;
};

}  // namespace vedette::rpc
