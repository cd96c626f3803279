#pragma once

#include <string>

#include "agent/container/container.h"

namespace vedette::agent {

// Asks a Docker daemon (or podman's service) on its Unix socket for its containers, anew at
// most every `max_age_ms`, and each running one for when it started, where its files are and, as podman
// has it there, its health. NOT_FOUND where there is no socket, PERMISSION_DENIED where the agent may
// not use it.
ContainerList DockerContainers(std::string socket_path, int64_t timeout_ms = 1'000,
                               int64_t max_age_ms = 200);

}  // namespace vedette::agent
