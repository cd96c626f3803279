#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/config/http_client.h"

namespace re2 {
class RE2;
}  // namespace re2

namespace vedette::agent {

using Regex = std::shared_ptr<const re2::RE2>;

// Which address family a probe wants, as blackbox_exporter has it.
struct IpChoice {
  bool prefer_ip6 = true;
  bool fallback = true;
};

struct HeaderMatch {
  std::string header;
  Regex regex;
  bool allow_missing = false;
};

struct HttpModule {
  std::vector<int> valid_status_codes;  // Empty: 200 to 299.
  std::vector<std::string> valid_http_versions;
  std::string method = "GET";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  uint64_t body_size_limit_bytes = 0;
  bool fail_if_ssl = false;
  bool fail_if_not_ssl = false;
  std::vector<Regex> fail_if_body_matches, fail_if_body_not_matches;
  std::vector<HeaderMatch> fail_if_header_matches, fail_if_header_not_matches;
  config::HttpClientConfig http;
  IpChoice ip;
};

struct TcpModule {
  struct Step {
    Regex expect;      // May be null.
    std::string send;  // May be empty.
    bool starttls = false;
  };
  std::vector<Step> query_response;
  bool tls = false;
  config::TlsConfig tls_config;
  IpChoice ip;
};

struct IcmpModule {
  int payload_size = 32;
  int ttl = 0;  // 0: the system's.
  bool dont_fragment = false;
  IpChoice ip;
};

struct DnsModule {
  std::string query_name;
  int query_type = 255;  // ANY
  int query_class = 1;
  bool tcp = false;
  bool recursion_desired = true;
  std::vector<int> valid_rcodes;  // Empty: NOERROR.
  IpChoice ip;
};

struct GrpcModule {
  std::string service;
  bool tls = false;
  config::TlsConfig tls_config;
  IpChoice ip;
};

// One entry of blackbox.yml.
struct ProbeModule {
  std::string name;
  std::string prober;      // http, tcp, icmp, dns, grpc
  int64_t timeout_ms = 0;  // 0: the scrape's.
  HttpModule http;
  TcpModule tcp;
  IcmpModule icmp;
  DnsModule dns;
  GrpcModule grpc;
};

using ProbeModules = std::map<std::string, ProbeModule>;

// blackbox_exporter's own file. What it knows and we do not is refused, with the place and the
// reason. INVALID_ARGUMENT as "file:line:column: path: reason".
Result<ProbeModules> ParseProbeModules(std::string_view text, const std::string& file);
Result<ProbeModules> LoadProbeModules(const std::string& file);

// http_2xx, http_post_2xx, tcp_connect, icmp, grpc, grpc_plain, ssh_banner: what blackbox_exporter's
// own file begins with.
ProbeModules DefaultProbeModules();

}  // namespace vedette::agent
