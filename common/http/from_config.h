#pragma once

#include "common/config/http_client.h"
#include "common/http/client_options.h"

namespace vedette::http {

// Prometheus' http_config, as the client takes it.
ClientOptions ToClientOptions(const config::HttpClientConfig& config);

}  // namespace vedette::http
