#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/collector/collector.h"
#include "agent/container/cgroup.h"
#include "common/base/clock.h"
#include "common/base/status.h"

namespace vedette::agent {

// What a container runtime knows of one container.
struct ContainerInfo {
  std::string id;  // 64 hexadecimal digits.
  std::string name;
  std::string image;
  std::map<std::string, std::string> labels;
  double created_seconds = 0;
};

// Asks a runtime for its running containers.
using ContainerList = std::function<Result<std::vector<ContainerInfo>>()>;

struct ContainerOptions {
  std::string cgroup = "/sys/fs/cgroup";
  std::string procfs = "/proc";
  std::string sysfs = "/sys";
  std::string rootfs = "/";
  // Null: no runtime; names and images are then empty, and vedette_container_runtime_up is 0.
  ContainerList list;
  bool store_labels = true;  // container_label_X.
  const Clock* clock = &SystemClock();
};

// Control groups as containers, under cAdvisor's names: each group is a sample with its path in
// `id`, and `name` and `image` where a runtime knows them. The machine's cores and memory as
// machine_*.
std::unique_ptr<Collector> MakeContainerCollector(ContainerOptions options);

// The container that a control group is: the 64 hexadecimal digits at the end of its path, in any
// of the ways runtimes write them (/docker/ID, docker-ID.scope, cri-containerd-ID.scope). "" if it
// is none.
std::string ContainerIdOf(std::string_view cgroup_id);

}  // namespace vedette::agent
