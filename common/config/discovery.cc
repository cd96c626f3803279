#include "common/config/discovery.h"

#include <set>

#include "common/config/shared_loaders.h"

namespace vedette::config {
namespace {

void ReadLabels(const Value& value, Labels& out) {
  LabelsBuilder builder;
  value.EachEntry([&](const std::string& name, const Value& entry) {
    std::string text;
    entry.Read(text);
    if (name.empty() || !IsValidUtf8(name)) entry.Fail("not a label name");
    builder.Set(name, text);
  });
  out = builder.Build();
}

void ReadStatic(const Value& item, StaticConfig& out) {
  Object o(item);
  o["targets"].EachItem([&](const Value& target) {
    std::string address;
    target.Read(address);
    if (!IsTargetAddress(address)) {
      target.Fail(StrCat("not a target: ", Quoted(address),
                         "; write host or host:port, without scheme or path"));
    }
    out.targets.push_back(std::move(address));
  });
  ReadLabels(o["labels"], out.labels);
  o.Finish();
}

void ReadInterval(const Value& value, int64_t& out_ms) {
  value.ReadDuration(out_ms);
  if (out_ms <= 0) value.Fail("must be above zero");
}

void ReadPort(const Value& value, int& out) {
  value.Read(out);
  if (out < 0 || out > 65535) value.Fail(StrCat("not a port: ", out));
}

bool IsSdFile(const std::string& path) {
  const size_t star = path.find('*');
  if (star != std::string::npos && (path.find('/', star) != std::string::npos ||
                                    path.find('*', star + 1) != std::string::npos)) {
    return false;
  }
  for (std::string_view end : {".json", ".yml", ".yaml", ".JSON", ".YML", ".YAML"}) {
    if (path.ends_with(end)) return true;
  }
  return false;
}

void ReadOne(const Value& item, FileSdConfig& out) {
  Object o(item);
  const Value files = o["files"];
  files.Read(out.files);
  ReadInterval(o["refresh_interval"], out.refresh_interval_ms);
  o.Finish();
  if (out.files.empty()) files.Fail("is empty; name at least one file");
  for (std::string& file : out.files) {
    if (!IsSdFile(file)) {
      files.Fail(StrCat("path ", Quoted(file),
                        " must end in .json, .yml or .yaml, and have at most one *, in its last "
                        "segment"));
    }
    file = Absolute(item.context().directory, file);
  }
}

void ReadOne(const Value& item, HttpSdConfig& out) {
  Object o(item);
  const Value url = o["url"];
  url.ReadUrl(out.url);
  ReadInterval(o["refresh_interval"], out.refresh_interval_ms);
  ReadHttpClient(o, out.http);
  o.Finish();
  if (out.url.empty()) url.Fail("is missing; name where to ask");
}

void ReadOne(const Value& item, DnsSdConfig& out) {
  Object o(item);
  const Value names = o["names"];
  names.Read(out.names);
  std::string type = "SRV";
  o["type"].ReadOneOf(type, {"SRV", "A", "AAAA", "MX", "NS"});
  out.type = type == "SRV"    ? DnsRecordType::kSrv
             : type == "A"    ? DnsRecordType::kA
             : type == "AAAA" ? DnsRecordType::kAaaa
             : type == "MX"   ? DnsRecordType::kMx
                              : DnsRecordType::kNs;
  const Value port = o["port"];
  ReadPort(port, out.port);
  ReadInterval(o["refresh_interval"], out.refresh_interval_ms);
  o.Finish();
  if (out.names.empty()) names.Fail("is empty; name at least one domain");
  if (out.port == 0 && out.type != DnsRecordType::kSrv) {
    port.Fail(StrCat("is missing; records of type ", type, " name no port"));
  }
}

void ReadFilters(const Value& value, std::vector<SdFilter>& out) {
  value.EachBlock([&](const Value& item) {
    SdFilter& filter = out.emplace_back();
    Object o(item);
    const Value name = o["name"];
    name.Read(filter.name);
    const Value values = o["values"];
    values.Read(filter.values);
    o.Finish();
    if (filter.name.empty()) name.Fail("is missing");
    if (filter.values.empty()) values.Fail("is empty; a filter needs at least one value");
  });
}

void ReadOne(const Value& item, Ec2SdConfig& out) {
  Object o(item);
  o["endpoint"].Read(out.endpoint);
  o["region"].Read(out.region);
  const Value access_key = o["access_key"];
  access_key.Read(out.access_key);
  o["secret_key"].Read(out.secret_key);
  o["profile"].Read(out.profile);
  o["role_arn"].Read(out.role_arn);
  o["external_id"].Read(out.external_id);
  ReadInterval(o["refresh_interval"], out.refresh_interval_ms);
  ReadPort(o["port"], out.port);
  ReadFilters(o["filters"], out.filters);
  ReadHttpClient(o, out.http);
  o.Finish();
  if (out.access_key.empty() != out.secret_key.empty()) {
    access_key.Fail("access_key and secret_key go together; give both or neither");
  }
}

void ReadOne(const Value& item, DockerSdConfig& out) {
  Object o(item);
  const Value host = o["host"];
  host.Read(out.host);
  ReadPort(o["port"], out.port);
  o["host_networking_host"].Read(out.host_networking_host);
  o["match_first_network"].Read(out.match_first_network);
  ReadFilters(o["filters"], out.filters);
  ReadInterval(o["refresh_interval"], out.refresh_interval_ms);
  ReadHttpClient(o, out.http);
  o.Finish();
  if (out.host.empty())
    host.Fail("is missing; write unix:///var/run/docker.sock or tcp://host:2376");
}

void ReadOne(const Value& item, ConsulSdConfig& out) {
  Object o(item);
  const Value server = o["server"];
  server.Read(out.server);
  o["path_prefix"].Read(out.path_prefix);
  o["token"].Read(out.token);
  o["datacenter"].Read(out.datacenter);
  o["namespace"].Read(out.consul_namespace);
  o["partition"].Read(out.partition);
  o["scheme"].ReadOneOf(out.scheme, {"http", "https"});
  o["username"].Read(out.username);
  o["password"].Read(out.password);
  o["allow_stale"].Read(out.allow_stale);
  ReadInterval(o["refresh_interval"], out.refresh_interval_ms);
  o["services"].Read(out.services);
  o["tags"].Read(out.tags);
  o["node_meta"].Read(out.node_meta);
  o["filter"].Read(out.filter);
  o["health_filter"].Read(out.health_filter);
  o["tag_separator"].Read(out.tag_separator);
  ReadHttpClient(o, out.http);
  o.Finish();
  if (out.server.empty()) server.Fail("is empty; name the Consul server as host:port");
}

void ReadOne(const Value& item, KubernetesSdConfig& out) {
  Object o(item);
  o["api_server"].ReadUrl(out.api_server);
  const Value role = o["role"];
  role.ReadOneOf(out.role, {"node", "pod", "service", "endpoints", "endpointslice"});
  const Value kubeconfig = o["kubeconfig_file"];
  if (kubeconfig.present()) {
    kubeconfig.Fail(
        "refused: Vedette reads no kubeconfig; name api_server and its tls_config and "
        "authorization instead");
  }
  const Value namespaces = o["namespaces"];
  if (namespaces.present()) {
    Object n(namespaces);
    n["own_namespace"].Read(out.own_namespace);
    n["names"].Read(out.namespaces);
    n.Finish();
  }
  o["selectors"].EachBlock([&](const Value& one) {
    KubernetesSelector& selector = out.selectors.emplace_back();
    Object s(one);
    s["role"].ReadOneOf(selector.role, {"node", "pod", "service", "endpoints", "endpointslice"});
    s["label"].Read(selector.label);
    s["field"].Read(selector.field);
    s.Finish();
  });
  const Value attach = o["attach_metadata"];
  if (attach.present()) {
    attach.Fail("refused: Vedette does not attach metadata of nodes or namespaces to pods");
  }
  ReadInterval(o["refresh_interval"], out.refresh_interval_ms);
  ReadHttpClient(o, out.http);
  o.Finish();
  if (out.role.empty()) {
    role.Fail("is missing; one of node, pod, service, endpoints, endpointslice");
  }
}

template <typename T>
void ReadSd(Object& o, std::string_view field, DiscoveryConfig& out) {
  o[field].EachBlock([&](const Value& item) {
    T config;
    ReadOne(item, config);
    out.dynamic.emplace_back(std::move(config));
  });
}

}  // namespace

bool IsTargetAddress(std::string_view address) {
  return address.find('/') == std::string_view::npos && !address.empty() && IsValidUtf8(address);
}

void ReadDiscovery(Object& o, DiscoveryConfig& out) {
  o["static_configs"].EachBlock(
      [&](const Value& item) { ReadStatic(item, out.static_configs.emplace_back()); });
  ReadSd<FileSdConfig>(o, "file_sd_configs", out);
  ReadSd<HttpSdConfig>(o, "http_sd_configs", out);
  ReadSd<DnsSdConfig>(o, "dns_sd_configs", out);
  ReadSd<Ec2SdConfig>(o, "ec2_sd_configs", out);
  ReadSd<DockerSdConfig>(o, "docker_sd_configs", out);
  ReadSd<ConsulSdConfig>(o, "consul_sd_configs", out);
  ReadSd<KubernetesSdConfig>(o, "kubernetes_sd_configs", out);
  for (std::string_view known :
       {"aws_sd_configs",         "azure_sd_configs",
        "digitalocean_sd_configs", "dockerswarm_sd_configs", "eureka_sd_configs",
        "gce_sd_configs",          "hetzner_sd_configs",     "ionos_sd_configs",
        "kuma_sd_configs",         "lightsail_sd_configs",   "linode_sd_configs",
        "marathon_sd_configs",     "nerve_sd_configs",       "nomad_sd_configs",
        "oci_sd_configs",          "openstack_sd_configs",   "outscale_sd_configs",
        "ovhcloud_sd_configs",     "puppetdb_sd_configs",    "scaleway_sd_configs",
        "serverset_sd_configs",    "stackit_sd_configs",     "triton_sd_configs",
        "uyuni_sd_configs",        "vultr_sd_configs"}) {
    const Value refused = o[known];
    if (refused.present()) {
      refused.Fail(
          "refused: Vedette does not have this discovery; use http_sd_configs or "
          "file_sd_configs");
    }
  }
}

}  // namespace vedette::config
