#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "common/config/http_client.h"
#include "common/config/secret.h"
#include "common/model/labels.h"

namespace vedette::config {

struct StaticConfig {
  std::vector<std::string> targets;  // Each becomes __address__.
  Labels labels;

  bool operator==(const StaticConfig&) const = default;
};

struct FileSdConfig {
  std::vector<std::string> files;  // Absolute; '*' only in the last segment.
  int64_t refresh_interval_ms = 5 * 60 * 1000;

  bool operator==(const FileSdConfig&) const = default;
};

struct HttpSdConfig {
  std::string url;
  int64_t refresh_interval_ms = 60 * 1000;
  HttpClientConfig http;

  bool operator==(const HttpSdConfig&) const = default;
};

enum class DnsRecordType : uint8_t { kSrv, kA, kAaaa, kMx, kNs };

struct DnsSdConfig {
  std::vector<std::string> names;
  DnsRecordType type = DnsRecordType::kSrv;
  int port = 0;  // Required for all but SRV.
  int64_t refresh_interval_ms = 30 * 1000;

  bool operator==(const DnsSdConfig&) const = default;
};

struct SdFilter {
  std::string name;
  std::vector<std::string> values;

  bool operator==(const SdFilter&) const = default;
};

struct Ec2SdConfig {
  std::string endpoint;
  std::string region;
  std::string access_key;
  Secret secret_key;
  std::string profile;
  std::string role_arn;
  std::string external_id;
  int64_t refresh_interval_ms = 60 * 1000;
  int port = 80;
  std::vector<SdFilter> filters;
  HttpClientConfig http;

  bool operator==(const Ec2SdConfig&) const = default;
};

struct DockerSdConfig {
  std::string host;
  int port = 80;
  std::string host_networking_host = "localhost";
  bool match_first_network = true;
  std::vector<SdFilter> filters;
  int64_t refresh_interval_ms = 60 * 1000;
  HttpClientConfig http;

  bool operator==(const DockerSdConfig&) const = default;
};

struct ConsulSdConfig {
  std::string server = "localhost:8500";
  std::string path_prefix;
  Secret token;
  std::string datacenter;
  std::string consul_namespace;
  std::string partition;
  std::string scheme = "http";
  std::string username;
  Secret password;
  bool allow_stale = true;
  int64_t refresh_interval_ms = 30 * 1000;
  std::vector<std::string> services;
  std::vector<std::string> tags;
  std::map<std::string, std::string> node_meta;
  std::string filter;
  std::string health_filter;
  std::string tag_separator = ",";
  HttpClientConfig http;

  bool operator==(const ConsulSdConfig&) const = default;
};

struct KubernetesSelector {
  std::string role;
  std::string label;
  std::string field;

  bool operator==(const KubernetesSelector&) const = default;
};

struct KubernetesSdConfig {
  std::string api_server;  // Empty: the cluster we run in, by the pod's service account.
  std::string role;        // node, pod, service, endpoints, endpointslice
  bool own_namespace = false;
  std::vector<std::string> namespaces;
  std::vector<KubernetesSelector> selectors;
  int64_t refresh_interval_ms = 15 * 1000;  // Ours: the API is listed, not watched.
  HttpClientConfig http;

  bool operator==(const KubernetesSdConfig&) const = default;
};

using SdConfig = std::variant<FileSdConfig, HttpSdConfig, DnsSdConfig, Ec2SdConfig, DockerSdConfig,
                              ConsulSdConfig, KubernetesSdConfig>;

// Where the targets of one job, or the Alertmanagers to tell, come from.
struct DiscoveryConfig {
  std::vector<StaticConfig> static_configs;
  std::vector<SdConfig> dynamic;  // In the order of the file.

  bool operator==(const DiscoveryConfig&) const = default;
};

}  // namespace vedette::config
