#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/http/router.h"
#include "common/http/server.h"

namespace vedette {

// What protects the HTTP door: --web.config.file in Prometheus' format, read once here. TLS files
// are looked at again at every connection.
struct WebProtection {
  std::function<std::shared_ptr<SSL_CTX>()> tls_context;  // Empty: plain HTTP.
  // Put into the router, in this order.
  std::vector<http::Router::Filter> filters;
  std::vector<http::Router::Decorator> decorators;
};

// No file: nothing asked of anyone. Errors name the file, line and field.
Result<WebProtection> LoadWebProtection(const std::string& web_config_file);

}  // namespace vedette
