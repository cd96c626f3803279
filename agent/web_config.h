#pragma once

#include <string>

#include "common/base/status.h"
#include "common/http/router.h"
#include "common/http/server.h"

namespace vedette::agent {

// Reads the file of --web.config.file, in Prometheus' schema, and makes it so: TLS with or without
// client certificates, basic auth, headers. Certificates that change on disk are picked up.
Status ApplyWebConfig(const std::string& path, http::ServerOptions& options, http::Router& router);

}  // namespace vedette::agent
