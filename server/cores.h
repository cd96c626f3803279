#pragma once

namespace vedette {

// The cores that this process may run on: fewer than the machine has where it was pinned to some
// (taskset, systemd's CPUAffinity, a container's cpuset). At least one.
int UsableCores();

}  // namespace vedette
