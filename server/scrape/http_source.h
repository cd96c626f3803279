#pragma once

#include <memory>

#include "common/base/status.h"
#include "common/config/http_client.h"
#include "common/http/client_options.h"
#include "common/http/multi_client.h"
#include "server/scrape/job.h"
#include "server/scrape/source.h"
#include "server/scrape/target.h"

namespace vedette::scrape {

// Prometheus' http_config, as libcurl's wrapper takes it.
http::ClientOptions ToClientOptions(const config::HttpClientConfig& config);

// A Source that reads text, OpenMetrics or protobuf over HTTP. `options` are shared by the targets
// of a job, and with them its connections; a target with __unix_socket__ gets its own. The client
// outlives the source.
std::unique_ptr<Source> MakeHttpSource(const Target& target, const Job& job,
                                       std::shared_ptr<const http::ClientOptions> options,
                                       http::MultiClient& client);

}  // namespace vedette::scrape
