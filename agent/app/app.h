#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "agent/collector/collector.h"
#include "common/base/status.h"

namespace vedette::agent {

// One application on this node that shows metrics over HTTP.
struct AppEndpoint {
  std::string name;  // Of the source: "shop".
  std::string url;
  int64_t timeout_ms = 5'000;
  int64_t max_body_bytes = 64 << 20;
  std::string unix_socket;
  std::string username, password_file;  // Basic.
  std::string bearer_token_file;
  std::string ca_file, cert_file, key_file, server_name;
  bool insecure_skip_verify = false;
};

// Reads NAME=URL[;option=value...] as --app.endpoint has it: timeout=2s, max-body=10MB,
// unix-socket=, username=, password-file=, bearer-token-file=, ca-file=, cert-file=, key-file=,
// server-name=, insecure-skip-verify. Commas belong to URLs, so semicolons part the options.
Result<AppEndpoint> ParseAppEndpoint(std::string_view text);

// What a fetch brings home: the body of a 200.
struct FetchedPage {
  std::string content_type;
  std::string body;
};
using Fetch = std::function<Result<FetchedPage>()>;

// By common/http's client, which keeps its connection.
Fetch HttpFetch(const AppEndpoint& endpoint);

// Relays everything that the page says: types, helps, units, times, exemplars, native histograms.
// A page that cannot be fetched or read fails the collector and yields nothing.
std::unique_ptr<Collector> MakeAppCollector(std::string name, Fetch fetch);

}  // namespace vedette::agent
