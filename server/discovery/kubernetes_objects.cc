#include "server/discovery/kubernetes_objects.h"

#include <set>
#include <string_view>
#include <utility>

#include "common/base/strings.h"
#include "server/discovery/label_name.h"

namespace vedette::discovery {
namespace {

constexpr std::string_view kMeta = "__meta_kubernetes_";

void Set(LabelsBuilder& labels, std::string_view name, std::string_view value) {
  labels.Set(StrCat(kMeta, name), value);
}

// name, labels and annotations, each annotation and label twice: its value, and that it is there.
void SetMetadata(LabelsBuilder& labels, std::string_view role, const Json& object) {
  const Json& meta = Member(object, "metadata");
  Set(labels, StrCat(role, "_name"), Text(meta, "name"));
  for (const auto& [field, prefix] :
       {std::pair("labels", "_label"), std::pair("annotations", "_annotation")}) {
    const Json& map = Member(meta, field);
    if (!map.is_object()) continue;
    for (const auto& [key, value] : map.items()) {
      const std::string name = SanitizeLabelName(key);
      Set(labels, StrCat(role, prefix, "_", name), TextOf(value));
      Set(labels, StrCat(role, prefix, "present_", name), "true");
    }
  }
}

std::string Namespace(const Json& object) {
  return Text(Member(object, "metadata"), "namespace");
}

std::string PodReady(const Json& pod) {
  for (const Json& condition : Member(Member(pod, "status"), "conditions")) {
    if (Text(condition, "type") != "Ready") continue;
    const std::string status = Text(condition, "status");
    return status == "True" ? "true" : status == "False" ? "false" : "unknown";
  }
  return "unknown";
}

void SetPod(LabelsBuilder& labels, const Json& pod) {
  const Json& status = Member(pod, "status");
  SetMetadata(labels, "pod", pod);
  Set(labels, "pod_ip", Text(status, "podIP"));
  Set(labels, "pod_ready", PodReady(pod));
  Set(labels, "pod_phase", Text(status, "phase"));
  Set(labels, "pod_node_name", Text(Member(pod, "spec"), "nodeName"));
  Set(labels, "pod_host_ip", Text(status, "hostIP"));
  Set(labels, "pod_uid", Text(Member(pod, "metadata"), "uid"));
  for (const Json& owner : Member(Member(pod, "metadata"), "ownerReferences")) {
    if (Text(owner, "controller") != "true") continue;
    Set(labels, "pod_controller_kind", Text(owner, "kind"));
    Set(labels, "pod_controller_name", Text(owner, "name"));
  }
}

void SetContainer(LabelsBuilder& labels, const Json& pod, const Json& container, bool init) {
  Set(labels, "pod_container_name", Text(container, "name"));
  Set(labels, "pod_container_image", Text(container, "image"));
  Set(labels, "pod_container_init", init ? "true" : "false");
  for (const Json& status : Member(Member(pod, "status"),
                                   init ? "initContainerStatuses" : "containerStatuses")) {
    if (Text(status, "name") == Text(container, "name")) {
      Set(labels, "pod_container_id", Text(status, "containerID"));
    }
  }
}

void SetContainerPort(LabelsBuilder& labels, const Json& port) {
  const std::string protocol = Text(port, "protocol");
  Set(labels, "pod_container_port_name", Text(port, "name"));
  Set(labels, "pod_container_port_number", Text(port, "containerPort"));
  Set(labels, "pod_container_port_protocol", protocol.empty() ? "TCP" : protocol);
}

void SetService(LabelsBuilder& labels, const KubernetesObjects& services, const std::string& ns,
                const std::string& name) {
  const auto at = services.find(ns + "/" + name);
  if (at != services.end()) SetMetadata(labels, "service", at->second);
}

// What endpoints and slices share: a target for each address and port, with what is known of the
// pod behind it; and then the pods' ports that no endpoint names.
class EndpointTargets {
 public:
  EndpointTargets(TargetGroup& group, const KubernetesObjects& pods) : group_(group), pods_(pods) {}

  void Add(const std::string& ip, const std::string& port, const Json& target_ref,
           LabelsBuilder labels, std::string_view prefix) {
    const bool plain = port.empty() || port == "0";
    labels.Set("__address__", plain ? ip : JoinHostPort(ip, port));
    const Json* pod = nullptr;
    if (target_ref.is_object()) {
      Set(labels, StrCat(prefix, "address_target_kind"), Text(target_ref, "kind"));
      Set(labels, StrCat(prefix, "address_target_name"), Text(target_ref, "name"));
      if (Text(target_ref, "kind") == "Pod") {
        const std::string key = Text(target_ref, "namespace") + "/" + Text(target_ref, "name");
        if (const auto at = pods_.find(key); at != pods_.end()) {
          pod = &at->second;
          seen_[key].insert(port);
        }
      }
    }
    if (pod != nullptr) {
      SetPod(labels, *pod);
      for (const Json& container : Member(Member(*pod, "spec"), "containers")) {
        for (const Json& p : Member(container, "ports")) {
          if (Text(p, "containerPort") != port) continue;
          SetContainer(labels, *pod, container, false);
          SetContainerPort(labels, p);
        }
      }
    }
    group_.targets.push_back(labels.Build());
  }

  void AddUnnamedPorts() {
    for (const auto& [key, ports] : seen_) {
      const Json& pod = pods_.at(key);
      const std::string ip = Text(Member(pod, "status"), "podIP");
      if (ip.empty()) continue;
      for (const Json& container : Member(Member(pod, "spec"), "containers")) {
        for (const Json& p : Member(container, "ports")) {
          const std::string number = Text(p, "containerPort");
          if (ports.contains(number)) continue;
          LabelsBuilder labels;
          labels.Set("__address__", JoinHostPort(ip, number));
          SetPod(labels, pod);
          SetContainer(labels, pod, container, false);
          SetContainerPort(labels, p);
          group_.targets.push_back(labels.Build());
        }
      }
    }
  }

 private:
  TargetGroup& group_;
  const KubernetesObjects& pods_;
  std::map<std::string, std::set<std::string>> seen_;
};

}  // namespace

std::string KubernetesKey(const Json& object) {
  return Namespace(object) + "/" + Text(Member(object, "metadata"), "name");
}

TargetGroup NodeGroup(const Json& node) {
  const std::string name = Text(Member(node, "metadata"), "name");
  TargetGroup group{.source = "node/" + name};
  LabelsBuilder labels;
  SetMetadata(labels, "node", node);
  Set(labels, "node_provider_id", Text(Member(node, "spec"), "providerID"));
  std::map<std::string, std::string> by_type;
  for (const Json& address : Member(Member(node, "status"), "addresses")) {
    by_type.try_emplace(Text(address, "type"), Text(address, "address"));
  }
  for (const auto& [type, address] : by_type) {
    Set(labels, StrCat("node_address_", SanitizeLabelName(type)), address);
  }
  std::string address;
  for (const char* type : {"InternalIP", "InternalDNS", "ExternalIP", "ExternalDNS",
                           "LegacyHostIP", "Hostname"}) {
    if (address.empty()) address = by_type[type];
  }
  if (address.empty()) return group;
  const Json& endpoints = Member(Member(node, "status"), "daemonEndpoints");
  const std::string port = Text(Member(endpoints, "kubeletEndpoint"), "Port");
  group.labels = labels.Build();
  group.targets.push_back(
      Labels::Of({{"__address__", JoinHostPort(address, port.empty() ? "10250" : port)},
                  {"instance", name}}));
  return group;
}

TargetGroup PodGroup(const Json& pod) {
  TargetGroup group{.source = "pod/" + KubernetesKey(pod)};
  const std::string ip = Text(Member(pod, "status"), "podIP");
  if (ip.empty()) return group;  // Starting, or evicted.
  LabelsBuilder labels;
  Set(labels, "namespace", Namespace(pod));
  SetPod(labels, pod);
  group.labels = labels.Build();
  for (const auto& [field, init] :
       {std::pair("containers", false), std::pair("initContainers", true)}) {
    for (const Json& container : Member(Member(pod, "spec"), field)) {
      const Json& ports = Member(container, "ports");
      if (ports.empty()) {
        // Without a port it is still a target: relabelling may know one.
        LabelsBuilder target;
        target.Set("__address__", ip);
        SetContainer(target, pod, container, init);
        group.targets.push_back(target.Build());
      }
      for (const Json& port : ports) {
        LabelsBuilder target;
        target.Set("__address__", JoinHostPort(ip, Text(port, "containerPort")));
        SetContainer(target, pod, container, init);
        SetContainerPort(target, port);
        group.targets.push_back(target.Build());
      }
    }
  }
  return group;
}

TargetGroup ServiceGroup(const Json& service) {
  TargetGroup group{.source = "svc/" + KubernetesKey(service)};
  LabelsBuilder labels;
  Set(labels, "namespace", Namespace(service));
  SetMetadata(labels, "service", service);
  group.labels = labels.Build();
  const Json& spec = Member(service, "spec");
  const std::string type = Text(spec, "type");
  for (const Json& port : Member(spec, "ports")) {
    LabelsBuilder target;
    target.Set("__address__", StrCat(Text(Member(service, "metadata"), "name"), ".",
                                     Namespace(service), ".svc:", Text(port, "port")));
    Set(target, "service_port_name", Text(port, "name"));
    Set(target, "service_port_number", Text(port, "port"));
    const std::string protocol = Text(port, "protocol");
    Set(target, "service_port_protocol", protocol.empty() ? "TCP" : protocol);
    Set(target, "service_type", type);
    if (type == "ExternalName") {
      Set(target, "service_external_name", Text(spec, "externalName"));
    } else {
      Set(target, "service_cluster_ip", Text(spec, "clusterIP"));
      Set(target, "service_loadbalancer_ip", Text(spec, "loadBalancerIP"));
    }
    group.targets.push_back(target.Build());
  }
  return group;
}

TargetGroup EndpointsGroup(const Json& endpoints, const KubernetesObjects& services,
                           const KubernetesObjects& pods) {
  TargetGroup group{.source = "endpoints/" + KubernetesKey(endpoints)};
  LabelsBuilder labels;
  Set(labels, "namespace", Namespace(endpoints));
  SetMetadata(labels, "endpoints", endpoints);
  SetService(labels, services, Namespace(endpoints),
             Text(Member(endpoints, "metadata"), "name"));
  group.labels = labels.Build();
  EndpointTargets targets(group, pods);
  for (const Json& subset : Member(endpoints, "subsets")) {
    for (const Json& port : Member(subset, "ports")) {
      for (const auto& [field, ready] :
           {std::pair("addresses", "true"), std::pair("notReadyAddresses", "false")}) {
        for (const Json& address : Member(subset, field)) {
          LabelsBuilder target;
          const std::string protocol = Text(port, "protocol");
          Set(target, "endpoint_port_name", Text(port, "name"));
          Set(target, "endpoint_port_protocol", protocol.empty() ? "TCP" : protocol);
          Set(target, "endpoint_ready", ready);
          Set(target, "endpoint_node_name", Text(address, "nodeName"));
          Set(target, "endpoint_hostname", Text(address, "hostname"));
          targets.Add(Text(address, "ip"), Text(port, "port"), Member(address, "targetRef"),
                      std::move(target), "endpoint_");
        }
      }
    }
  }
  targets.AddUnnamedPorts();
  return group;
}

TargetGroup EndpointSliceGroup(const Json& slice, const KubernetesObjects& services,
                               const KubernetesObjects& pods) {
  TargetGroup group{.source = "endpointslice/" + KubernetesKey(slice)};
  LabelsBuilder labels;
  Set(labels, "namespace", Namespace(slice));
  SetMetadata(labels, "endpointslice", slice);
  Set(labels, "endpointslice_address_type", Text(slice, "addressType"));
  SetService(labels, services, Namespace(slice),
             Text(Member(Member(slice, "metadata"), "labels"), "kubernetes.io/service-name"));
  group.labels = labels.Build();
  EndpointTargets targets(group, pods);
  for (const Json& port : Member(slice, "ports")) {
    for (const Json& endpoint : Member(slice, "endpoints")) {
      const Json& conditions = Member(endpoint, "conditions");
      for (const Json& address : Member(endpoint, "addresses")) {
        LabelsBuilder target;
        const auto set = [&](std::string_view name, const std::string& value) {
          Set(target, StrCat("endpointslice_", name), value);
        };
        set("port", Text(port, "port"));
        set("port_name", Text(port, "name"));
        set("port_protocol", Text(port, "protocol"));
        set("port_app_protocol", Text(port, "appProtocol"));
        set("endpoint_conditions_ready", Text(conditions, "ready"));
        set("endpoint_conditions_serving", Text(conditions, "serving"));
        set("endpoint_conditions_terminating", Text(conditions, "terminating"));
        set("endpoint_hostname", Text(endpoint, "hostname"));
        set("endpoint_node_name", Text(endpoint, "nodeName"));
        set("endpoint_zone", Text(endpoint, "zone"));
        targets.Add(TextOf(address), Text(port, "port"), Member(endpoint, "targetRef"),
                    std::move(target), "endpointslice_");
      }
    }
  }
  targets.AddUnnamedPorts();
  return group;
}

}  // namespace vedette::discovery
