#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/http/router.h"
#include "common/http/server.h"

namespace vedette::http {

// What protects the HTTP door of a program: --web.config.file in Prometheus' format. The file is
// looked at again at every request and connection: users, roles, headers and TLS settings that were
// changed hold at once, and a mistake in it is logged while what was read before goes on holding.
// Only whether there is TLS at all is settled at the start. A user whom basic_auth_roles calls a
// viewer may read and query, and change nothing.
struct WebProtection {
  std::function<std::shared_ptr<SSL_CTX>()> tls_context;  // Empty: plain HTTP.
  // Whether nobody gets in without saying who they are: a password, or a client's certificate.
  std::function<bool()> knows_its_users;
  // Put into the router, in this order.
  std::vector<Router::Filter> filters;
  std::vector<Router::Decorator> decorators;
  // "viewer" or "operator": what the user that basic auth has found (Request::user) may do here.
  // Without users everybody is an operator.
  std::function<std::string_view(std::string_view user)> role_of = [](std::string_view) {
    return std::string_view("operator");
  };
};

// Requests get their ids here too (request_id.h). No file: nothing asked of anyone. Errors name the file, line and field.
Result<WebProtection> LoadWebProtection(const std::string& web_config_file);

// Whether a request changes nothing: GET and HEAD outside of /debug/, and the queries that may be
// asked by POST, rehearsals and previews of silences among them.
bool IsReadOnly(std::string_view method, std::string_view path);

}  // namespace vedette::http
