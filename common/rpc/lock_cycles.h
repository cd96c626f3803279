#pragma once

namespace vedette::rpc {

// Debian builds abseil with its search for lock cycles, which remembers every two locks that gRPC holds
// at once and looks through them at each lock. Turns it off for the process; more than once does no harm.
void IgnoreLockCycles();

}  // namespace vedette::rpc
