#pragma once

#include <cstdint>
#include <string>

#include "agent/container/container.h"

namespace vedette::agent {

// Asks containerd or CRI-O on its Unix socket for the containers of Kubernetes' pods, anew at most every
// `max_age_ms`: each is called as its pod calls it, a pod's own container (which holds its network) is
// "POD", and the labels say which pod and namespace. NOT_FOUND where there is no socket, or a runtime
// that does not speak CRI (Docker's own containerd), PERMISSION_DENIED where the agent may not use it.
ContainerList CriContainers(std::string socket_path, int64_t timeout_ms = 1'000,
                            int64_t max_age_ms = 1'000);

}  // namespace vedette::agent
