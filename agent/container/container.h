#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
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
  bool running = true;
  double created_seconds = 0;
  double started_seconds = 0;
  // 1 healthy, 0 starting or sick, -1 nobody checks; nothing where the runtime does not say.
  std::optional<int> health;
  // What is the container's own on the disk: its writable layer, the runtime's folder with its log.
  std::vector<std::string> folders;
};

// Asks a runtime for its containers; those that do not run yet, or no longer, have names too.
using ContainerList = std::function<Result<std::vector<ContainerInfo>>()>;

struct ContainerRuntime {
  std::string name;    // "docker", "podman", "containerd".
  std::string socket;  // For the log.
  ContainerList list;
};

struct ContainerOptions {
  std::string cgroup = "/sys/fs/cgroup";
  std::string procfs = "/proc";
  std::string sysfs = "/sys";
  std::string rootfs = "/";
  // Names and images come from whichever of them knows the container; without any they are empty.
  std::vector<ContainerRuntime> runtimes;
  bool store_labels = true;  // container_label_X.
  bool watch = true;         // Keep the last values of containers that go between two scrapes.
  bool count_files = true;   // container_fs_usage_bytes of containers, counted in the background.
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
