#include "server/discovery/docker_provider.h"

#include <map>
#include <utility>

#include "common/base/strings.h"
#include "common/http/message.h"
#include "server/discovery/json_value.h"
#include "server/discovery/label_name.h"

namespace vedette::discovery {
namespace {

constexpr int64_t kTimeoutMs = 30'000;
constexpr std::string_view kMeta = "__meta_docker_";
// "container:ID" chains end; a daemon that says otherwise is not followed for ever.
constexpr int kMaxSharedNetworks = 16;

HttpCall CallTo(const config::DockerSdConfig& config, std::string_view path) {
  HttpCall call;
  call.http = config.http;
  call.timeout_ms = kTimeoutMs;
  constexpr std::string_view kUnix = "unix://";
  constexpr std::string_view kTcp = "tcp://";
  std::string base = config.host;
  if (base.starts_with(kUnix)) {
    call.unix_socket = base.substr(kUnix.size());
    base = "http://docker";
  } else if (base.starts_with(kTcp)) {
    const config::TlsConfig& tls = config.http.tls;
    const bool secure = !tls.ca_file.empty() || !tls.ca.empty() || !tls.cert_file.empty() ||
                        !tls.cert.empty() || tls.insecure_skip_verify;
    base = StrCat(secure ? "https://" : "http://", base.substr(kTcp.size()));
  }
  call.url = StrCat(base, path);
  return call;
}

// Docker's form of filters: {"name": ["value", ...]}.
std::string Filters(const std::vector<config::SdFilter>& filters) {
  if (filters.empty()) return "";
  Json json = Json::object();
  for (const config::SdFilter& f : filters) {
    for (const std::string& v : f.values) json[f.name].push_back(v);
  }
  return StrCat("?filters=", http::UrlEncode(json.dump()));
}

using NetworkLabels = std::map<std::string, std::vector<std::pair<std::string, std::string>>>;

NetworkLabels LabelsOfNetworks(const Json& networks) {
  NetworkLabels out;
  for (const Json& network : networks) {
    auto& labels = out[Text(network, "Id")];
    labels.emplace_back("network_id", Text(network, "Id"));
    labels.emplace_back("network_name", Text(network, "Name"));
    labels.emplace_back("network_scope", Text(network, "Scope"));
    labels.emplace_back("network_internal", Text(network, "Internal"));
    labels.emplace_back("network_ingress", Text(network, "Ingress"));
    const Json& own = Member(network, "Labels");
    if (!own.is_object()) continue;
    for (const auto& [key, value] : own.items()) {
      labels.emplace_back(StrCat("network_label_", SanitizeLabelName(key)), TextOf(value));
    }
  }
  return out;
}

}  // namespace

Result<std::vector<TargetGroup>> DockerProvider::Refresh(Status&) {
  VEDETTE_ASSIGN_OR_RETURN(
      const Json containers,
      AskJson(http_, CallTo(config_, "/containers/json" + Filters(config_.filters)), "Docker"));
  VEDETTE_ASSIGN_OR_RETURN(const Json networks,
                           AskJson(http_, CallTo(config_, "/networks"), "Docker"));
  const NetworkLabels network_labels = LabelsOfNetworks(networks);
  std::map<std::string, const Json*> by_id;
  for (const Json& c : containers) by_id[Text(c, "Id")] = &c;

  TargetGroup group{.source = "Docker"};
  for (const Json& container : containers) {
    const Json& names = Member(container, "Names");
    if (!names.is_array() || names.empty()) continue;
    const std::string mode = Text(Member(container, "HostConfig"), "NetworkMode");
    LabelsBuilder common;
    const auto set = [](LabelsBuilder& labels, std::string_view name, const std::string& value) {
      labels.Set(StrCat(kMeta, name), value);
    };
    set(common, "container_id", Text(container, "Id"));
    set(common, "container_name", TextOf(names[0]));
    set(common, "container_network_mode", mode);
    const Json& labels = Member(container, "Labels");
    if (labels.is_object()) {
      for (const auto& [key, value] : labels.items()) {
        set(common, StrCat("container_label_", SanitizeLabelName(key)), TextOf(value));
      }
    }

    // A container in another's network has none of its own.
    const Json* attached = &Member(Member(container, "NetworkSettings"), "Networks");
    std::string at = mode;
    constexpr std::string_view kShared = "container:";
    for (int i = 0; i < kMaxSharedNetworks && attached->empty() && at.starts_with(kShared); ++i) {
      const auto other = by_id.find(at.substr(kShared.size()));
      if (other == by_id.end()) break;
      attached = &Member(Member(*other->second, "NetworkSettings"), "Networks");
      at = Text(Member(*other->second, "HostConfig"), "NetworkMode");
    }
    if (!attached->is_object()) continue;
    for (const auto& [name, network] : attached->items()) {  // In order of names.
      if (network.is_null()) continue;
      const std::string ip = Text(network, "IPAddress");
      LabelsBuilder here(common.Build());
      set(here, "network_ip", ip);
      if (const auto known = network_labels.find(Text(network, "NetworkID"));
          known != network_labels.end()) {
        for (const auto& [label, value] : known->second) set(here, label, value);
      }
      bool added = false;
      for (const Json& port : Member(container, "Ports")) {
        if (Text(port, "Type") != "tcp") continue;
        LabelsBuilder target(here.Build());
        const std::string number = Text(port, "PrivatePort");
        set(target, "port_private", number);
        if (const std::string open = Text(port, "PublicPort"); !open.empty() && open != "0") {
          set(target, "port_public", open);
          set(target, "port_public_ip", Text(port, "IP"));
        }
        target.Set("__address__", JoinHostPort(ip, number));
        group.targets.push_back(target.Build());
        added = true;
      }
      if (!added) {
        // Host networking shows no ports.
        here.Set("__address__", mode == "host" ? config_.host_networking_host
                                               : JoinHostPort(ip, StrCat(config_.port)));
        group.targets.push_back(here.Build());
      }
      if (config_.match_first_network) break;
    }
  }
  return std::vector<TargetGroup>{std::move(group)};
}

}  // namespace vedette::discovery
