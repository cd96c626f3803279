#include "common/rpc/lock_cycles.h"

#include <absl/synchronization/mutex.h>

#include <mutex>

namespace vedette::rpc {

void IgnoreLockCycles() {
  static std::once_flag once;
  std::call_once(once, [] { absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore); });
}

}  // namespace vedette::rpc
