#pragma once

#include <string>

#include "agent/container/container.h"

namespace vedette::agent {

// Asks a Docker daemon (or podman's service) on its Unix socket for the running containers, anew at
// most every `max_age_ms`. An agent that may not read the socket gets PERMISSION_DENIED each time.
ContainerList DockerContainers(std::string socket_path, int64_t timeout_ms = 1'000,
                               int64_t max_age_ms = 10'000);

}  // namespace vedette::agent
