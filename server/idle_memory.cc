#include "server/idle_memory.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <thread>

namespace vedette {

IdleMemory LookAtMemory() {
  IdleMemory m;
  const struct mallinfo2 heap = mallinfo2();
  m.in_use_bytes = static_cast<int64_t>(heap.uordblks + heap.hblkhd);
  // size resident shared ...: in pages.
  std::ifstream in("/proc/self/statm");
  int64_t size = 0;
  int64_t resident = 0;
  int64_t shared = 0;
  if (in >> size >> resident >> shared) {
    m.resident_bytes = (resident - shared) * sysconf(_SC_PAGESIZE);
    m.shared_bytes = shared * sysconf(_SC_PAGESIZE);
  }
  return m;
}

void KeepFewArenas() {
  constexpr int kMappedBytes = 256 << 10;  // From here on a piece is the kernel's when it is freed.
  constexpr int kKeptBytes = 1 << 20;      // At the end of an arena.
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  (void)mallopt(M_ARENA_MAX, std::clamp(2 * cores, 4, 16));
  (void)mallopt(M_MMAP_THRESHOLD, kMappedBytes);
  (void)mallopt(M_TRIM_THRESHOLD, kKeptBytes);
}

bool GiveBackIdleMemory() {
  if (!LookAtMemory().worth_giving_back()) return false;
  malloc_trim(0);
  return true;
}

}  // namespace vedette
