#include "server/discovery/consul_provider.h"

#include <algorithm>
#include <utility>

#include "common/base/strings.h"
#include "common/http/message.h"
#include "server/discovery/json_value.h"
#include "server/discovery/label_name.h"

namespace vedette::discovery {
namespace {

constexpr int64_t kTimeoutMs = 30'000;
constexpr std::string_view kMeta = "__meta_consul_";

// The worst check decides, and maintenance is worse than any.
std::string Health(const Json& checks) {
  std::string state = "passing";
  for (const Json& check : checks) {
    const std::string id = Text(check, "CheckID");
    if (id == "_node_maintenance" || id.starts_with("_service_maintenance:")) {
      return "maintenance";
    }
    const std::string status = Text(check, "Status");
    if (status == "critical") state = "critical";
    if (status == "warning" && state == "passing") state = "warning";
  }
  return state;
}

}  // namespace

HttpCall ConsulProvider::CallTo(const std::string& path, bool health) const {
  http::Params query;
  if (!config_.datacenter.empty()) query.Add("dc", config_.datacenter);
  if (!config_.consul_namespace.empty()) query.Add("ns", config_.consul_namespace);
  if (!config_.partition.empty()) query.Add("partition", config_.partition);
  if (config_.allow_stale) query.Add("stale", "");
  for (const auto& [key, value] : config_.node_meta) {
    query.Add("node-meta", StrCat(key, ":", value));
  }
  if (health) {
    for (const std::string& tag : config_.tags) query.Add("tag", tag);
  }
  const std::string& filter = health ? config_.health_filter : config_.filter;
  if (!filter.empty()) query.Add("filter", filter);

  HttpCall call;
  call.url = StrCat(config_.scheme, "://", config_.server, config_.path_prefix, path, "?",
                    query.Encode());
  if (!config_.token.empty()) call.headers["X-Consul-Token"] = config_.token.Reveal();
  call.http = config_.http;
  if (!config_.username.empty() && !call.http.basic_auth) {
    call.http.basic_auth =
        config::BasicAuthConfig{.username = config_.username, .password = config_.password};
  }
  call.timeout_ms = kTimeoutMs;
  return call;
}

Result<std::vector<TargetGroup>> ConsulProvider::Refresh(Status&) {
  std::vector<std::string> services = config_.services;
  // Named services are asked for one by one; all others by the catalogue.
  if (services.empty() || !config_.tags.empty()) {
    VEDETTE_ASSIGN_OR_RETURN(const Json catalogue,
                             AskJson(http_, CallTo("/v1/catalog/services", false), "Consul"));
    std::vector<std::string> found;
    if (catalogue.is_object()) {
      for (const auto& [name, tags] : catalogue.items()) {
        if (!services.empty() && std::ranges::find(services, name) == services.end()) continue;
        const bool all = std::ranges::all_of(config_.tags, [&](const std::string& tag) {
          return tags.is_array() && std::ranges::find(tags, Json(tag)) != tags.end();
        });
        if (all) found.push_back(name);
      }
    }
    services = std::move(found);
  }

  std::vector<TargetGroup> groups;
  for (const std::string& service : services) {
    VEDETTE_ASSIGN_OR_RETURN(
        const Json nodes,
        AskJson(http_, CallTo("/v1/health/service/" + http::UrlEncode(service), true), "Consul"));
    TargetGroup& group = groups.emplace_back();
    group.source = service;
    for (const Json& entry : nodes) {
      const Json& node = Member(entry, "Node");
      const Json& instance = Member(entry, "Service");
      LabelsBuilder labels;
      const auto set = [&](std::string_view name, const std::string& value) {
        labels.Set(StrCat(kMeta, name), value);
      };
      const auto each = [&](const Json& map, std::string_view prefix) {
        if (!map.is_object()) return;
        for (const auto& [key, value] : map.items()) {
          set(StrCat(prefix, SanitizeLabelName(key)), TextOf(value));
        }
      };
      std::string tags = config_.tag_separator;
      for (const Json& tag : Member(instance, "Tags")) {
        StrAppend(tags, TextOf(tag), config_.tag_separator);
      }
      std::string address = Text(instance, "Address");
      set("service_address", address);
      if (address.empty()) address = Text(node, "Address");
      labels.Set("__address__", JoinHostPort(address, Text(instance, "Port")));
      set("address", Text(node, "Address"));
      set("node", Text(node, "Node"));
      set("dc", Text(node, "Datacenter"));
      set("namespace", Text(instance, "Namespace"));
      set("partition", Text(instance, "Partition"));
      set("tags", tags);
      set("health", Health(Member(entry, "Checks")));
      set("service", service);
      set("service_id", Text(instance, "ID"));
      set("service_port", Text(instance, "Port"));
      each(Member(node, "Meta"), "metadata_");
      each(Member(instance, "Meta"), "service_metadata_");
      each(Member(node, "TaggedAddresses"), "tagged_address_");
      group.targets.push_back(labels.Build());
    }
  }
  return groups;
}

}  // namespace vedette::discovery
