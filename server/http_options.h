#pragma once

#include "common/config/http_client.h"
#include "common/http/client_options.h"

namespace vedette {

// What a configuration file says of a peer, as the HTTP client takes it. Secrets are registered
// with the log here, so that none of them ever appears in a line.
http::ClientOptions ClientOptionsOf(const config::HttpClientConfig& config);

}  // namespace vedette
