#pragma once

#include <string_view>
#include <vector>

#include "common/config/decoder.h"
#include "common/config/discovery.h"
#include "common/config/http_client.h"
#include "common/config/relabel.h"

// Readers of the blocks that occur in more than one file. Each asks `o` for its fields, so that a
// block written inline (an HTTP client inside a scrape config) and one of its own look alike.
namespace vedette::config {

void ReadTls(const Value& value, TlsConfig& out);
void ReadHttpClient(Object& o, HttpClientConfig& out);                // Inline fields; no Finish.
void ReadHttpClientBlock(const Value& value, HttpClientConfig& out);  // http_config: {...}
void ReadRelabels(const Value& value, std::vector<RelabelConfig>& out);
void ReadDiscovery(Object& o, DiscoveryConfig& out);  // static_configs and every *_sd_configs.

// Host and port as a target has them: no scheme, no path.
bool IsTargetAddress(std::string_view address);

}  // namespace vedette::config
