#include "common/rpc/authorizer.h"

#include <algorithm>

#include "common/base/strings.h"

namespace vedette::rpc {

Authorizer::Authorizer(const std::vector<MethodRule>& rules) {
  const std::vector<tls::Role> everyone = {tls::Role::kServer, tls::Role::kAgent,
                                           tls::Role::kOperator, tls::Role::kViewer};
  rules_["/grpc.health.v1.Health/"] = everyone;
  rules_["/grpc.reflection.v1alpha.ServerReflection/"] = everyone;
  for (const MethodRule& rule : rules) rules_[rule.method] = rule.roles;
}

const std::vector<tls::Role>* Authorizer::Find(std::string_view method) const {
  auto at = rules_.find(std::string(method));
  if (at == rules_.end()) {
    // "/package.Service/Method": the slash behind the service belongs to its rule.
    const size_t slash = method.rfind('/');
    if (slash == std::string_view::npos) return nullptr;
    at = rules_.find(std::string(method.substr(0, slash + 1)));
  }
  return at == rules_.end() ? nullptr : &at->second;
}

Status Authorizer::Check(std::string_view method, const tls::Identity& peer) const {
  const std::vector<tls::Role>* roles = Find(method);
  if (roles == nullptr) {
    return PermissionDenied(StrCat(Quoted(method), " is open to no role"));
  }
  if (peer.role != tls::Role::kNone && std::ranges::find(*roles, peer.role) != roles->end()) {
    return {};
  }
  std::string wanted;
  for (const tls::Role role : *roles)
    StrAppend(wanted, wanted.empty() ? "" : ", ", tls::RoleName(role));
  if (peer.role == tls::Role::kNone) {
    return PermissionDenied(StrCat(tls::Describe(peer), " names no role; ", method, " is for ",
                                   wanted, ". A role is a URI SAN such as ",
                                   tls::RoleUri(tls::Role::kViewer, "NAME")));
  }
  return PermissionDenied(StrCat("role ", tls::RoleName(peer.role), " of ", tls::Describe(peer),
                                 " may not call ", method, "; it is for ", wanted));
}

}  // namespace vedette::rpc
