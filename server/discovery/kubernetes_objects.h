#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/model/target_group.h"
#include "server/discovery/json_value.h"

namespace vedette::discovery {

// Kubernetes' objects as Prometheus shows them: one group for each object.

// Pods by "namespace/name", for the endpoints that point at them; nodes and services likewise.
using KubernetesObjects = std::map<std::string, Json>;
std::string KubernetesKey(const Json& object);

TargetGroup NodeGroup(const Json& node);
TargetGroup PodGroup(const Json& pod);
TargetGroup ServiceGroup(const Json& service);
TargetGroup EndpointsGroup(const Json& endpoints, const KubernetesObjects& services,
                           const KubernetesObjects& pods);
TargetGroup EndpointSliceGroup(const Json& slice, const KubernetesObjects& services,
                               const KubernetesObjects& pods);

}  // namespace vedette::discovery
